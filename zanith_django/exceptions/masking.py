"""Hides passwords: the only place that knows what one looks like in a text.

Every error and every traceback that a command prints passes through `masked`. The schema that a
command prints does not: it must stay exact. Connection parameters are never printed as they are:
`place_of` names the database without its credentials, and `database_urls` quotes no part of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

# `scheme://user:password@`; a password that was not encoded may contain any character but blanks.
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*):[^\s'\"]*@", re.IGNORECASE)
# `password=…` in a connection string, in the options of a URL, and in a dict.
_PARAMETER = re.compile(
    r"\b((?:ssl)?password|passwd|pgpassword)(['\"]?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s'\"&,)}]+)",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """The text with every password in it replaced by `***`."""
    if "://" in text:
        text = _USER_INFO.sub(rf"\1:{MASK}@", text)
    if "pass" in text.lower():
        text = _PARAMETER.sub(rf"\1\2{MASK}", text)
    return text


def place_of(settings: Mapping[str, Any]) -> str:
    """An entry of DATABASES in words: "shop on db.internal:5432"."""
    place = str(settings.get("HOST") or "the local socket")
    if port := settings.get("PORT"):
        place = f"[{place}]:{port}" if ":" in place else f"{place}:{port}"
    return f"{settings.get('NAME')} on {place}"


def quotable(name: str) -> str:
    """A mistyped name in quotes, with a space after it; "" if it may be a URL or its parameters."""
    return f"{name!r} " if re.fullmatch(r"[\w.-]+", name) else ""
