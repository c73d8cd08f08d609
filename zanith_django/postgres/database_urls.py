"""URLs of databases, as libpq reads them. They may hold a password, so no error quotes any part."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict

# How Django and django-environ spell the scheme of a PostgreSQL URL.
_SCHEMES = ("postgres", "postgresql", "psql", "pgsql", "postgis")

NO_URL = (
    "is not the URL of a PostgreSQL database: its scheme, host, port or one of its options is "
    "invalid."
)
URL_HINT = (
    "Write postgres://user:password@host:5432/name, an IPv6 host in brackets, and special "
    "characters of the password percent-encoded."
)


def parameters_of_url(url: str) -> dict[str, str]:
    """Parameters of libpq, so that hosts, ports and options are those that psql accepts. Raises
    `ValueError`, also for a part of an unencoded password that libpq takes for something else."""
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        raise ValueError("scheme")
    try:
        found = conninfo_to_dict(f"postgres://{rest}")
    except psycopg.Error:
        raise ValueError("syntax") from None
    given = {key: str(value) for key, value in found.items()}
    _refuse_misread(given)
    return given


def _refuse_misread(given: Mapping[str, str]) -> None:
    if not given.get("dbname") or "@" in given["dbname"] + given.get("host", ""):
        raise ValueError("host or name")
    for port in given.get("port", "5432").split(","):
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError("port")
