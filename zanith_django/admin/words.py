"""The words of the pages about a step: its reasons, the next command, its documentation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.timezone import localtime

from zanith_django.admin.pages import Links
from zanith_django.files.migration import RECOVER_PREFIX
from zanith_django.ledger.details import StepDetail
from zanith_django.ledger.marks import is_refusal
from zanith_django.models import MigrationStep, Status, spoken
from zanith_django.operations import KINDS
from zanith_django.plan.reasons import REASONS


class Why(NamedTuple):
    """A reason of a step's risk, what it means, and its page."""

    code: str
    effect: str
    safer: str
    url: str


def reasons_of(codes: Iterable[str], links: Links) -> list[Why]:
    """The reasons with their words; a code of another release has none, and no page."""
    found = []
    for code in codes:
        known = REASONS.get(code)
        words = (known.effect, known.safer) if known else ("", "")
        found.append(Why(code, *words, links.page("dashboard_reason", code) if known else ""))
    return found


def expected(detail: StepDetail) -> str:
    """The duration that the plan expected; "" if it is not known."""
    return lasting(detail.estimate)


def lasting(seconds: float | None) -> str:
    """`3 min 20 s`; "" if it is not known."""
    if seconds is None:
        return ""
    return spoken(timedelta(seconds=min(max(seconds, 0), timedelta(days=9_999).total_seconds())))


def moment(text: object) -> str:
    """An ISO time of the ledger's JSON as the site spells times; any other text as it is."""
    try:
        at = parse_datetime(str(text or ""))
        return date_format(localtime(at), "DATETIME_FORMAT") if at else str(text or "")
    except (ValueError, OverflowError):
        return str(text)


def next_command(step: MigrationStep, error: str | None) -> str:
    """The command that continues after a failed step; "" for other steps."""
    if step.status != Status.FAILED:
        return ""
    if step.migration_id.startswith(RECOVER_PREFIX):
        return "manage.py zanith_recover list"
    if is_refusal(error):
        return "manage.py zanith_plan -v 2"
    return "manage.py zanith_apply"


def documentation(kind: str, links: Links) -> str:
    """The page about this kind of operation; "" for what has none."""
    return links.page("dashboard_kind", kind) if kind in KINDS else ""
