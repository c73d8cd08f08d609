"""The setting ZANITH: one typed property per key, read at each use so that tests can override
it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.conf import settings

from zanith_django.exceptions import BadSetting, InvalidName
from zanith_django.exceptions.masking import quotable
from zanith_django.postgres.names import TableName

SHADOW_SHAPES = ("auto", "ephemeral", "schema")
MASKS = ("hash", "null", "keep")
CAPS = {"development": 100, "staging": 80, "production": 60}

# PostgreSQL keeps a timeout in milliseconds, in 32 bits.
LONGEST_TIMEOUT = 2_147_483
LONGEST_RETENTION = 36_500  # a century, in days

# {key: (accepted types, words for people)}
KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "MODE": ((str,), f"one of {', '.join(CAPS)}"),
    "MAX_RISK": ((int,), "a number from 0 to 100"),
    "ALLOW_DESTRUCTIVE": ((bool,), "True or False"),
    "FAIL_ON": ((list, tuple), "a list of reason codes"),
    "APPS": ((list, tuple), "a list of app labels"),
    "MIGRATION_MODULES": ((dict,), "a dict of app label to package"),
    "SHADOW": ((str,), f"{', '.join(SHADOW_SHAPES)}, a database URL or an alias"),
    "SHADOW_DATA": ((list, tuple), "a list of table names"),
    "MASK": ((dict,), "a dict of table.column to hash, null or keep"),
    "REUSE": ((bool,), "True or False"),
    "SCRATCH": ((str,), "a database alias or URL"),
    "DIRECT": ((str,), "a database alias"),
    "LOCK_TIMEOUT": ((int, float), f"seconds, at most {LONGEST_TIMEOUT}"),
    "LOCK_RETRIES": ((int,), "a number"),
    "LOCK_WAIT": ((int, float), "seconds"),
    "STATEMENT_TIMEOUT": ((int, float), f"seconds, 0 for none, at most {LONGEST_TIMEOUT}"),
    "BACKFILL": ((dict,), "a dict with BATCH_SECONDS and PAUSE"),
    "DROP": ((str,), "one of soft, archive, hard"),
    "DISK_ROOM": ((int,), "bytes"),
    "RETENTION_DAYS": ((int,), f"days, at most {LONGEST_RETENTION}"),
    "UNCOVERED": ((str,), "run or refuse"),
    "REQUIRE_VERIFIED": ((bool,), "True or False"),
    "IGNORE": ((list, tuple), "a list of table names"),
}

_HIGHEST: Mapping[str, int] = {
    "MAX_RISK": 100,
    "LOCK_TIMEOUT": LONGEST_TIMEOUT,
    "STATEMENT_TIMEOUT": LONGEST_TIMEOUT,
    "RETENTION_DAYS": LONGEST_RETENTION,
}

# Settings that name a database. A value that is no alias may contain a password and is never
# quoted.
_PLACES = ("DIRECT", "SCRATCH", "SHADOW")

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "MODE": tuple(CAPS),
    "DROP": ("soft", "archive", "hard"),
    "UNCOVERED": ("run", "refuse"),
}


class Conf:
    """Typed access to settings.ZANITH; raises `BadSetting` if a value is invalid."""

    @property
    def raw(self) -> Mapping[str, Any]:
        value = getattr(settings, "ZANITH", {})
        if not isinstance(value, Mapping):
            raise BadSetting("ZANITH", f"must be a dict, not {type(value).__name__}")
        return value

    def _get(self, key: str, default: Any) -> Any:
        if key not in self.raw:
            return default
        value = self.raw[key]
        problem = problem_with(key, value)
        if problem:
            raise BadSetting(key, problem)
        return value

    @property
    def mode(self) -> str:
        return str(self._get("MODE", "development" if settings.DEBUG else "production"))

    @property
    def max_risk(self) -> int:
        return int(self._get("MAX_RISK", CAPS[self.mode]))

    @property
    def allow_destructive(self) -> bool:
        return bool(self._get("ALLOW_DESTRUCTIVE", False))

    @property
    def fail_on(self) -> tuple[str, ...]:
        return tuple(self._get("FAIL_ON", ()))

    @property
    def apps(self) -> tuple[str, ...] | None:
        value = self._get("APPS", None)
        return None if value is None else tuple(value)

    @property
    def migration_modules(self) -> Mapping[str, str]:
        return dict(self._get("MIGRATION_MODULES", {}))

    @property
    def shadow(self) -> str:
        return str(self._get("SHADOW", "auto"))

    @property
    def shadow_data(self) -> tuple[str, ...]:
        default = ("django_content_type", "auth_permission", "django_site")
        return tuple(self._get("SHADOW_DATA", default))

    @property
    def mask(self) -> Mapping[str, str]:
        """{table.column: hash, null or keep} for samples, before the defaults."""
        return dict(self._get("MASK", {}))

    @property
    def reuse(self) -> bool:
        """Keep the structure of the shadow as a template for the next one."""
        return bool(self._get("REUSE", False))

    @property
    def scratch(self) -> str:
        return str(self._get("SCRATCH", ""))

    @property
    def direct(self) -> str:
        return str(self._get("DIRECT", ""))

    @property
    def lock_timeout(self) -> float:
        """Seconds that a step may wait for a lock that blocks others."""
        return float(self._get("LOCK_TIMEOUT", 2))

    @property
    def lock_retries(self) -> int:
        return int(self._get("LOCK_RETRIES", 10))

    @property
    def lock_wait(self) -> float:
        """Seconds to wait for another run to end."""
        return float(self._get("LOCK_WAIT", 600))

    @property
    def statement_timeout(self) -> float:
        """Seconds; 0 is none."""
        return float(self._get("STATEMENT_TIMEOUT", 0))

    @property
    def batch_seconds(self) -> float:
        """The target duration of one batch of a backfill."""
        return float(self._get("BACKFILL", {}).get("BATCH_SECONDS", 0.1))

    @property
    def batch_pause(self) -> float:
        """Seconds between two batches."""
        return float(self._get("BACKFILL", {}).get("PAUSE", 0))

    @property
    def drop(self) -> str:
        return str(self._get("DROP", "soft"))

    @property
    def disk_room(self) -> int | None:
        """Bytes of disk that a plan may use; None if that is not known."""
        value = self._get("DISK_ROOM", None)
        return None if value is None else int(value)

    @property
    def retention_days(self) -> int:
        return int(self._get("RETENTION_DAYS", 90))

    @property
    def uncovered(self) -> str:
        """The treatment of a managed app's Django migration that no file covers."""
        return str(self._get("UNCOVERED", "run"))

    @property
    def require_verified(self) -> bool:
        return bool(self._get("REQUIRE_VERIFIED", False))

    @property
    def ignore(self) -> frozenset[str]:
        """Tables that are never compared."""
        return frozenset(self._get("IGNORE", ()))


conf = Conf()


def problem_with(key: str, value: object) -> str:
    """Why `value` is invalid for `key`; "" if it is valid."""
    if key not in KINDS:
        return f"is unknown; known are {', '.join(KINDS)}"
    types, words = KINDS[key]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return f"must be {words}, not {type(value).__name__ if key in _PLACES else repr(value)}"
    if key in _CHOICES and value not in _CHOICES[key]:
        return f"must be {words}, not {value!r}"
    if isinstance(value, list | tuple):
        strangers = [repr(item) for item in value if not isinstance(item, str)]
        if strangers:
            return f"must be {words}, not of {', '.join(strangers)}"
    if key == "MIGRATION_MODULES" and isinstance(value, dict):
        strangers = [repr(item) for pair in value.items() for item in pair if type(item) is not str]
        if strangers:
            return f"must be {words}, not of {', '.join(strangers)}"
    if key == "MASK" and isinstance(value, dict):
        wrong = [name for name, how in value.items() if how not in MASKS or "." not in str(name)]
        if wrong:
            return f"must be {words}, not {', '.join(map(repr, wrong))}"
    if key == "IGNORE" and isinstance(value, list | tuple):
        wrong = [repr(name) for name in value if not _is_table_name(name)]
        if wrong:
            return f"names no table: {', '.join(wrong)}"
    if isinstance(value, int | float) and not 0 <= value <= _HIGHEST.get(key, value):
        return f"must be {words}, not {value!r}"
    if key == "BACKFILL" and isinstance(value, dict):
        unknown = [str(part) for part in value if part not in ("BATCH_SECONDS", "PAUSE")]
        if unknown:
            return f"must be {words}, not {', '.join(unknown)}"
        for part, seconds in value.items():
            if type(seconds) not in (int, float) or not 0 <= seconds <= LONGEST_TIMEOUT:
                return f"must have seconds in {part}, not {seconds!r}"
    return ""


def _is_table_name(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(TableName.of(name).name)
    except InvalidName:
        return False


def problems() -> list[tuple[str, str]]:
    """(key, problem) of every value that is invalid. Needs the registry of apps."""
    found = ((key, problem_with(key, value)) for key, value in conf.raw.items())
    return [(key, problem) for key, problem in found if problem] or [*_unknown_names()]


def _unknown_names() -> Iterator[tuple[str, str]]:
    """(key, problem) of names of apps and aliases that the project does not have."""
    installed = {config.label for config in apps.get_app_configs()}
    for key, labels in (("APPS", conf.apps or ()), ("MIGRATION_MODULES", conf.migration_modules)):
        for label in labels:
            if label not in installed:
                yield key, f"names {label!r}, which is not an installed app"
    shadow = "" if conf.shadow in SHADOW_SHAPES else conf.shadow
    for key, alias in zip(_PLACES, (conf.direct, conf.scratch, shadow), strict=True):
        url = "://" in alias and key != "DIRECT"
        if not alias or url or alias in settings.DATABASES:
            continue
        if quoted := quotable(alias):
            yield key, f"names {quoted.rstrip()}, which DATABASES does not have"
        else:
            yield key, f"must be {KINDS[key][1]}"
