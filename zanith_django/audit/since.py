"""The moment that a user means by "since": a period, a day, a time, a month or a year."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from django.utils import timezone, translation
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.dates import MONTHS, MONTHS_3

from zanith_django.conf import LONGEST_RETENTION
from zanith_django.exceptions import InvalidArgument

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PERIOD = re.compile(r"(\d+)([mhdw])")
_YEAR = re.compile(r"(\d{4})(?:-(\d{1,2}))?")
_NAMED_MONTH = re.compile(r"([^\W\d]+)\.?(?:\s+(\d{4}))?")
_EARLIEST = 1970


def since(text: str, now: datetime | None = None) -> datetime:
    """`7d`, `2026-03-01`, `2026-03-01 14:30`, `2026-03`, `2026`, `March`, `March 2025`, `today` or
    `yesterday` → the moment from which on, in the time zone of the project. A month without a year
    is the last one that began. Raises `InvalidArgument`."""
    words = " ".join(text.split())
    now = timezone.localtime(now or datetime.now(UTC), timezone.get_current_timezone())
    if _PERIOD.fullmatch(words):
        return now - period(words)
    try:
        found = _day(words, now) or _month(words, now)
    except (ValueError, OverflowError):  # the 31st of February
        found = None
    if found is None or found.year < _EARLIEST:
        raise InvalidArgument(
            f"{text!r} is no day and no period.",
            "Write a day (2026-03-01), a month (2026-03, March) or a period (7d, 12h, 2w).",
        )
    moment = found if timezone.is_aware(found) else timezone.make_aware(found)
    if moment > now:
        raise InvalidArgument(f"{text!r} is in the future.", "Write a day in the past, or 7d.")
    return moment


def period(text: str) -> timedelta:
    """`7d` → seven days. Raises `InvalidArgument`."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"{text!r} is no period.", "Write a number and m, h, d or w: 7d.")
    try:
        found = timedelta(**{_UNITS[match[2]]: int(match[1])})
    except (OverflowError, ValueError):  # of timedelta, or of a number with thousands of digits
        found = timedelta.max
    if found.days > LONGEST_RETENTION:
        raise InvalidArgument(f"{text} is too long.", f"Write at most {LONGEST_RETENTION}d.")
    return found


def _day(words: str, now: datetime) -> datetime | None:
    """A day or a time of day, without a time zone if none is written."""
    days = {"today": 0, "yesterday": 1}
    if words.lower() in days:
        day = now.date() - timedelta(days=days[words.lower()])
        return datetime(day.year, day.month, day.day)
    day_only = parse_date(words)
    if day_only:
        return datetime(day_only.year, day_only.month, day_only.day)
    return parse_datetime(words) if "-" in words else None


def _month(words: str, now: datetime) -> datetime | None:
    """The first of a month or of a year."""
    if match := _YEAR.fullmatch(words):
        return datetime(int(match[1]), int(match[2] or 1), 1)
    match = _NAMED_MONTH.fullmatch(words)
    number = _months().get(match[1].casefold()) if match else None
    if match is None or number is None:
        return None
    last = now.year if number <= now.month else now.year - 1
    return datetime(int(match[2] or last), number, 1)


def _months() -> dict[str, int]:
    """{name: number} in English and in the language of the reader."""
    found = {}
    for language in ("en", translation.get_language() or "en"):
        with translation.override(language):
            for names in (MONTHS, MONTHS_3):
                found.update({str(name).casefold(): number for number, name in names.items()})
    return found
