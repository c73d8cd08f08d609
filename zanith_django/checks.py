"""System checks: settings that cannot be meant, and a driver that zanith cannot use."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from zanith_django.conf import problems
from zanith_django.exceptions import BadSetting


@register("zanith")
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every key of ZANITH is known and has a value that can be meant."""
    try:
        found = problems()
    except BadSetting as error:
        return [Error(str(error), id="zanith_django.E001")]
    return [
        Error(
            f"Setting ZANITH[{key!r}] {problem}.",
            hint="The README lists every setting.",
            id="zanith_django.E001",
        )
        for key, problem in found
    ]


@register("zanith")
def check_driver(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Django takes psycopg 3 for the whole project as soon as it is installed."""
    if find_spec("psycopg2") is None:
        return []
    return [
        Warning(
            "psycopg2 is installed beside psycopg 3; Django uses psycopg 3 for the whole project.",
            hint="Uninstall psycopg2 once nothing imports it.",
            id="zanith_django.W001",
        )
    ]
