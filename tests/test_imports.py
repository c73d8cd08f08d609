"""What `django.setup()` imports of ours: every process of a project pays for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

import zanith_django
from tests import stub
from zanith_django import operations

SETUP = """
import json, sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *{apps!r}],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "nowhere"}}}},
)
django.setup()
print(json.dumps([name for name in sys.modules if name.startswith("zanith_django")]))
"""
ADMIN = ["django.contrib.messages", "django.contrib.sessions", "django.contrib.admin"]


def imported(apps: Sequence[str]) -> list[str]:
    command = [sys.executable, "-c", SETUP.format(apps=[*apps, "zanith_django"])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    names: list[str] = json.loads(done.stdout)
    return names


@pytest.mark.parametrize(("apps", "most"), [([], 20), (ADMIN, 30)], ids=["plain", "admin"])
def test_setup_imports_few_modules(apps: list[str], most: int) -> None:
    names = imported(apps)
    assert len(names) <= most, names
    heavy = (
        "zanith_django.operations",
        "zanith_django.ledger.ledger",
        "zanith_django.plan.planner",
    )
    assert not [name for name in names if name in heavy]


def test_every_word_of_the_language_is_there() -> None:
    for name in ("Migration", "TableName", *stub.GRAPH, *operations.__all__):
        assert getattr(zanith_django, name)


def test_an_unknown_word_is_an_attribute_error() -> None:
    for name in ("AddColum", "nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(zanith_django, name)


def test_the_stub_is_of_now() -> None:
    assert stub.STUB.read_text() == stub.written(), "run python -m tests.stub"
