"""`python -m tests.reason_pages`: writes docs/reasons/, a page for each reason and an index.

The words come from the reasons themselves, the examples from `tests/reasons`, and their risk and
locks from a plan without a database. A test fails when a page is stale.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import django

from tests.reasons import EXAMPLES
from tests.reasons.example import DJANGO, FIRST, HEADER, SHELL, Form
from tests.reasons.judged import SHOP, Judged, judged, module_text
from zanith_django.plan.effects.values import Effect
from zanith_django.plan.plan import PlannedStep
from zanith_django.plan.reasons import REASONS, SUBJECTS, Level, Reason
from zanith_django.plan.risk import Assessment
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName

FOLDER = Path(__file__).parent.parent / "docs" / "reasons"
WIDTH = 120

_INTRODUCTION = (
    "Each reason why a step is risky has a page: what happens to readers, writers and the running "
    "release, changes that get the reason, safer changes with their risk and locks, and how to "
    "approve the step. `zanith_plan --explain CODE` prints the same words. How a plan finds "
    "reasons is in [verdict.md](../verdict.md), what everyday changes score in "
    "[risk.md](../risk.md), and the rules of other tools in [peers.md](../peers.md).",
    "`python -m tests.reason_pages` writes these pages; a test fails if one is stale, or if an "
    "example does not get its reason.",
)

_TABLES = (
    "The examples change these models of an app `shop`, whose tables have rows and are used by the "
    "running release. They are judged without a database. Locks are those of the statements: an "
    "atomic Django migration holds them until it ends."
)

_APPROVED = """\
class Migration(zanith.Migration):
    approved = {"0001": "why this step may run"}"""


def written() -> dict[Path, str]:
    """{path: the text that it should have}."""
    plans = judged()
    pages = {page(code): "\n\n".join(_page(REASONS[code], plans)) + "\n" for code in REASONS}
    return {**pages, FOLDER / "README.md": "\n\n".join(_index()) + "\n"}


def page(code: str) -> Path:
    return FOLDER / f"{code}.md"


# --- the index -----------------------------------------------------------------------------------


def _index() -> Iterator[str]:
    yield "# Reasons"
    yield from map(_filled, _INTRODUCTION)
    for subject, reasons in SUBJECTS.items():
        yield f"## {subject}"
        rows = ((f"[`{r.code}`]({r.code}.md)", str(int(r.level)), r.title) for r in reasons)
        yield _table(("reason", "score", "what the step does"), rows)
    yield "## The tables of the examples"
    yield _filled(_TABLES)
    yield _fenced("python", f"{HEADER}\n\n{FIRST}".rstrip())


# --- a page --------------------------------------------------------------------------------------


def _page(reason: Reason, plans: Mapping[str, Judged]) -> Iterator[str]:
    example = EXAMPLES[reason.code]
    yield f"# {reason.code}"
    yield _filled(f"{reason.title}: level {reason.level}, score {int(reason.level)}.")
    yield _filled(reason.effect)
    yield _filled(f"Safer: {reason.safer}")
    yield f"PostgreSQL's manual: <{reason.url}>"
    yield "## Changes that get this reason"
    if example.where:
        yield _filled(example.where)
    given = (reason.code,) if example.shown_by else ()
    yield from _forms(reason.code, "bad", example.bad, plans, given)
    if example.good:
        yield "## Safer changes"
        yield from _forms(reason.code, "good", example.good, plans)
    yield "## Approval"
    yield from _approval(reason)


def _forms(
    code: str,
    which: str,
    forms: Sequence[Form],
    plans: Mapping[str, Judged],
    given: tuple[str, ...] = (),
) -> Iterator[str]:
    for number, form in enumerate(forms):
        if form.language == SHELL:
            yield _fenced("console", f"$ {form.text}")
            continue
        yield f"As a {form.language}:"
        yield _fenced("python", module_text(form))
        yield from _verdict(form, plans[f"{code}_{which}{number}"], given)


def _verdict(form: Form, plan: Judged, given: tuple[str, ...]) -> Iterator[str]:
    found = Assessment.of((*plan.assessment.reasons, *given))
    reasons = ", ".join(f"`{code}`" for code in found.reasons) or "no reason"
    yield _filled(f"Risk: {found.level}, {found.score} ({reasons}).")
    rows = list(dict.fromkeys(row for step in plan.steps for row in _locks(form, plan, step)))
    yield _table(("lock", "on", "effect", "how long"), rows) if rows else "It locks no table."


def _locks(form: Form, plan: Judged, step: PlannedStep) -> Iterator[tuple[str, str, str, str]]:
    held = form.language == DJANGO and form.atomic
    for effect in step.effects:
        for name, lock in effect.locks.items():
            table = str(name).replace(plan.label, SHOP)
            yield str(lock), table, lock.effect, _how_long(effect, name, lock, held=held)


def _how_long(effect: Effect, name: TableName, lock: Lock, *, held: bool) -> str:
    if held and effect.transactional:
        return "until the migration ends"
    if name in effect.rewrites:
        return "while it rewrites the table"
    if name in effect.work:
        return "one batch at a time" if lock is Lock.ROW_EXCLUSIVE else "while it reads every row"
    return "an instant"


def _approval(reason: Reason) -> Iterator[str]:
    if reason.code == "dependent_objects":
        yield _filled(
            "No flag lifts it. If another migration removes the object before the step runs, "
            "`approved` in the zanith file lets the step pass."
        )
    elif reason.level == Level.BLOCKED:
        yield _filled(
            "No flag and no approval helps: the step fails when it runs. Remove the cause."
        )
        return
    else:
        yield _filled(_gates(reason))
    yield _fenced("python", _APPROVED)
    yield _filled(
        f"Keys are step numbers. `--fail-on {reason.code}` refuses the step whatever its score, "
        "and `approved` does not lift that."
    )


def _gates(reason: Reason) -> str:
    score = int(reason.level)
    budget = f"A budget below {score} (`--max-risk`, `MAX_RISK` or the cap of the mode) refuses it"
    if reason.level == Level.DESTRUCTIVE:
        return (
            f"The gate consent refuses the step unless `--allow-destructive` is given. {budget} "
            "too. `approved` in the zanith file lifts both for one step:"
        )
    return f"{budget}. `approved` in the zanith file lifts the budget for one step:"


# --- Markdown ------------------------------------------------------------------------------------


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    FOLDER.mkdir(exist_ok=True)
    texts = written()
    for stale in set(FOLDER.glob("*.md")) - set(texts):
        stale.unlink()
    for path, text in texts.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
