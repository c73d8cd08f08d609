"""System checks: invalid settings, an unusable driver, a ledger that other roles may write."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.db import connections

from zanith_django.conf import conf, problems
from zanith_django.exceptions import BadSetting, NoManagedApps
from zanith_django.postgres.rows import one_value


@register("zanith")
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every key of ZANITH is known and has a valid value."""
    try:
        found = problems()
    except BadSetting as error:
        return [Error(str(error), id="zanith_django.E001")]
    return [_bad_setting(key, problem) for key, problem in found]


def _bad_setting(key: str, problem: str) -> CheckMessage:
    return Error(
        f"Setting ZANITH[{key!r}] {problem}.",
        hint="The README lists every setting.",
        id="zanith_django.E001",
    )


@register("zanith")
def check_fail_on(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every code in FAIL_ON is a reason."""
    # Imported here, so that django.setup() stays quick.
    from zanith_django.plan.reasons import REASONS

    try:
        unknown = [code for code in conf.fail_on if code not in REASONS]
    except BadSetting:  # check_settings reports it
        return []
    problem = f"names no reason: {', '.join(unknown)}"
    return [_bad_setting("FAIL_ON", problem)] if unknown else []


@register("zanith")
def check_ignored(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Every name in IGNORE is a table: of a model, or of one of the databases that may be asked."""
    try:
        names = sorted(conf.ignore)
    except BadSetting:  # check_settings reports it
        return []
    if not names:
        return []
    # Imported here, so that django.setup() stays quick.
    from zanith_django.timeline.ignored import is_table

    return [
        Warning(
            f"Setting ZANITH['IGNORE'] names {name}, which is the table of no model.",
            hint="Correct the name, or remove it: tables without a model are never changed.",
            id="zanith_django.W002",
        )
        for name in names
        if not is_table(name, databases or ())
    ]


@register("zanith")
def check_any_managed(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Without a managed app no file is missing and no step is judged."""
    try:
        _managed()
    except NoManagedApps as error:
        return [Warning(str(error), hint=error.hint, id="zanith_django.W004")]
    except BadSetting:  # check_settings reports it
        pass
    return []


@register("zanith", deploy=True)
def check_managed_apps(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Which apps are managed. Every command would print it, so only `check --deploy` does."""
    try:
        labels = ", ".join(_managed()) or "no app"
    except (BadSetting, NoManagedApps):
        return []
    words = f"zanith writes and checks the migrations of: {labels}."
    return [Info(words, hint="Setting ZANITH['APPS'] names others.", id="zanith_django.I001")]


def _managed() -> list[str]:
    # Imported here, so that django.setup() stays quick.
    from zanith_django.files.files import managed_apps

    return sorted(config.label for config in managed_apps())


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


_WRITERS = """\
SELECT string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, ', ')
FROM unnest(%s::text[]) AS name
JOIN pg_catalog.pg_class c ON c.oid = to_regclass(name), aclexplode(c.relacl)
WHERE grantee <> c.relowner AND privilege_type <> 'SELECT' """


@register("zanith", Tags.database)
def check_ledger_grants(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Only the owner of the ledger may write it."""
    from zanith_django.ledger.tables import TABLES  # not in every process of the project

    found: list[CheckMessage] = []
    for alias in databases or ():
        if connections[alias].vendor != "postgresql":
            continue
        writers = one_value(connections[alias], _WRITERS, [[table.name for table in TABLES]])
        if writers:
            found.append(
                Warning(
                    f"Other roles may write the ledger in database {alias!r}: {writers}.",
                    hint="Revoke all but SELECT: docs/privileges.md shows the statement.",
                    id="zanith_django.W003",
                )
            )
    return found
