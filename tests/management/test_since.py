"""What `--since`, and `?since=` of the admin, mean."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import override_settings
from django.utils import translation

from zanith_django.audit.since import since
from zanith_django.exceptions import InvalidArgument


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with override_settings(TIME_ZONE="UTC"):
        yield


NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", "2026-05-13 12:00"),
        ("90m", "2026-05-20 10:30"),
        ("2026-03-01", "2026-03-01"),
        ("2026-3-1", "2026-03-01"),
        ("2026-03-01 14:30", "2026-03-01 14:30"),
        ("2026-03-01T14:30:00Z", "2026-03-01 14:30"),
        ("2026-03", "2026-03-01"),
        ("2025", "2025-01-01"),
        ("March", "2026-03-01"),
        (" mar ", "2026-03-01"),
        ("Mar. 2024", "2024-03-01"),
        ("May", "2026-05-01"),
        ("June", "2025-06-01"),
        ("today", "2026-05-20"),
        ("yesterday", "2026-05-19"),
    ],
)
def test_a_day_a_month_and_a_period_are_understood(text: str, meant: str) -> None:
    assert since(text, NOW) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "March the 1st",
        "2026-02-30",
        "2026-13",
        "01.03.2026",
        "0001",
        "7",
        "7y",
        "-7d",
        "9" * 5000,
    ],
)
def test_a_text_that_means_no_day_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no day and no period") as refused:
        since(text, NOW)
    assert "2026-03-01" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "why"), [("2026-06", "in the future"), ("9" * 5000 + "d", "too long")]
)
def test_a_moment_that_cannot_be_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        since(text, NOW)


def test_a_day_begins_where_the_project_is() -> None:
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert since("2026-03-01", NOW) == datetime(2026, 2, 28, 23, tzinfo=UTC)


def test_a_month_may_be_in_the_language_of_the_reader() -> None:
    with translation.override("de"):
        assert since("März", NOW) == since("March", NOW)
