"""What an installation must hold besides Python."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest

from tests.project import REPOSITORY


def test_a_wheel_holds_every_file_that_is_not_python() -> None:
    installed = {str(file) for file in distribution("zanith_django").files or []}
    if "zanith_django/__init__.py" not in installed:
        pytest.skip("installed in place: nothing was packed")
    package = REPOSITORY / "zanith_django"
    needed = {
        str(path.relative_to(REPOSITORY))
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert needed - installed == set()
