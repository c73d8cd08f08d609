"""Plans, diffs and status for a terminal: 80 columns, colour only by Django's styles."""

from __future__ import annotations

import functools
import itertools
import re
import textwrap
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.core.management.color import Style

from zanith_django.ledger.step_rows import DONE, FAILED, PENDING, ROLLED_BACK, RUNNING, SKIPPED
from zanith_django.ledger.steps import StepRow
from zanith_django.operations import Operation, Statement
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.plan.reasons import REASONS, Level, Reason
from zanith_django.postgres.locks import Lock
from zanith_django.render.report import PlanReport
from zanith_django.schema.findings import Extra, Note
from zanith_django.timeline.timeline import ADOPTED, Timeline, dotted

WIDTH = 80

SIGILS = {
    DONE: "✓",
    FAILED: "✗",
    RUNNING: "↻",
    PENDING: "○",
    SKIPPED: "-",
    ROLLED_BACK: "↶",
}


def level_style(style: Style, level: str, text: str) -> str:
    """`text` in the colour of a risk level."""
    paint = {
        "safe": style.SUCCESS,
        "low": style.SUCCESS,
        "medium": style.WARNING,
        "high": style.WARNING,
    }.get(level, style.ERROR)
    return str(paint(text))


def status_style(style: Style, status: str, text: str) -> str:
    paint = {DONE: style.SUCCESS, FAILED: style.ERROR, RUNNING: style.WARNING}.get(status)
    return str(paint(text)) if paint else text


# --- plan ----------------------------------------------------------------------------------------


def plan_text(report: PlanReport) -> Iterator[str]:
    """The plan, then the verdict. `verbosity` 2 adds SQL, locks and reasons of every step; 0
    prints the refusals alone."""
    if not report.verbosity:
        for refusal in report.refusals:
            yield from wrapped(str(refusal), "")
        return
    yield from newer_text(report.newer)
    yield from _pending(report)
    verdict = list(_verdict(report))
    yield from ["", *verdict] if verdict else []


def _pending(report: PlanReport) -> Iterator[str]:
    plan = report.plan
    steps = list(plan.steps)
    if not steps and not plan.migrations:
        yield "Nothing to do: the database is at the end of the timeline."
    else:
        operations = counted(len(steps), "operation")
        yield _spread(f"pending plan · {operations}", f"budget · ≤ {report.max_risk}")
    refused: dict[str, set[int]] = {}
    for refusal in report.refusals:
        refused.setdefault(refusal.migration, set()).add(refusal.step)
    for migration in plan.migrations:
        found = refused.get(migration.id, set())
        yield from _migration_lines(migration, found, report.style, report.verbosity > 1)
    for name in plan.unseen:
        words = f"Not looked at, another session locks it: {name}. It counts as populated."
        yield from wrapped(words, "")
    for name in report.receivers:
        yield from wrapped(f"{ADDS_OPERATIONS}: {name}", "")


ADDS_OPERATIONS = (
    "A receiver of pre_migrate may add operations; zanith_apply asks the gates about them"
)


def reason_text(reason: Reason) -> Iterator[str]:
    """The explanation of a reason, and its page."""
    yield f"{reason.code} · {reason.level} ({int(reason.level)})"
    yield from wrapped(f"{reason.title}. {reason.effect}", "  ")
    yield from wrapped(f"Safer: {reason.safer}", "  ")
    yield f"  PostgreSQL: {reason.url}"
    yield f"  Examples: {reason.page}"


def _migration_lines(
    migration: PlannedMigration, refused: Collection[int], style: Style, details: bool
) -> Iterator[str]:
    yield ""
    yield from map(str, map(style.MIGRATE_HEADING, wrapped(migration.id, "▸ ")))
    if migration.entry.migration and migration.entry.covers:
        yield from wrapped(f"covers {', '.join(map(dotted, migration.entry.covers))}", "  ")
    if migration.adopted:
        yield "  Django has applied this already: its steps are recorded as skipped."
    if migration.entry.late:
        yield "  This file is older than the newest applied one; it still runs, in its place."
    quiet = migration.entry.migration is None and not details
    shown = [
        step
        for step in migration.steps
        if not quiet or step.level >= Level.MEDIUM or step.number in refused
    ]
    width = kind_width(step.kind for step in shown)
    for step in shown:
        yield from _step_lines(step, width, step.number in refused, style, details)
    hidden = len(migration.steps) - len(shown)
    if hidden:
        yield f"  {counted(hidden, 'step')} of Django's, safe or low"


def _step_lines(
    step: PlannedStep, width: int, refused: bool, style: Style, details: bool
) -> Iterator[str]:
    number, level = f"  {step.number:02d}  ", f"{step.level!s:<11} {step.score:>3}"
    notes = [note for note in (_status_note(step), "refused" if refused else "") if note]
    tail = f"  ({', '.join(notes)})" if notes else ""
    head = f"{number}{level}  "
    first, *more = wrapped(f"{step.kind:<{width}} {step.operation.target}{tail}", head)
    yield f"{number}{level_style(style, str(step.level), level)}  {first[len(head) :]}"
    yield from more
    if step.approved:
        yield from wrapped(f"approved: {step.approved}", "      ")
    if step.waits and step.duration.noticed:
        yield f"      {step.rows:,} rows, {step.duration}"
    if not step.waits or (step.level < Level.MEDIUM and not details):
        yield from _finding_lines(step)
        return
    yield from wrapped(step.operation.describe() + ".", "      ")
    for code in step.assessment.reasons:
        yield from wrapped(f"{code}: {REASONS[code].effect}", "      · ")
    for collision in step.collisions:
        yield from wrapped(f"{'blocked' if collision.blocked else 'note'}: {collision}", "      ! ")
    yield from _finding_lines(step)
    for broken in step.breaks if details else ():
        yield from wrapped(f"breaks: {broken}", "      ! ")
    for phase, statements in itertools.groupby(step.statements, key=lambda s: s.phase):
        if phase:
            yield from wrapped(f"phase: {phase}", "      ")
        for statement in statements if details else _strongest([*statements]):
            yield from _statement_lines(statement, details)
    yield from _other_locks(step)
    yield from wrapped(f"undo: {step.back}", "      ")


def _other_locks(step: PlannedStep) -> Iterator[str]:
    """Locks on tables that no statement names as its own: referenced tables, partitions."""
    named = {name for statement in step.statements for name in statement.tables}
    for name, lock in step.locks.items():
        if name not in named and lock.blocks_writes:
            yield from wrapped(f"lock: {lock} on {name}; {lock.effect}", "      ")


def _finding_lines(step: PlannedStep) -> Iterator[str]:
    for finding in step.findings:
        yield from wrapped(f"{'blocked' if finding.certain else 'note'}: {finding}", "      ! ")


def _status_note(step: PlannedStep) -> str:
    notes = {
        "done": "done already",
        "skipped": "skipped",
        "elsewhere": "skipped: for another database",
    }
    return notes.get(step.status, "observed on a shadow" if step.observed else "")


def _strongest(statements: Sequence[Statement]) -> list[Statement]:
    return [max(statements, key=lambda s: s.lock)] if statements else []


def _statement_lines(statement: Statement, details: bool) -> Iterator[str]:
    if details:
        yield from textwrap.indent(statement.sql, "      ").splitlines()
    if statement.lock != Lock.NONE:
        tables = ", ".join(map(str, statement.tables))
        on = f" on {tables}" if tables else ""
        how_long = _how_long(statement)
        yield from wrapped(
            f"lock: {statement.lock}{on}, {how_long}; {statement.lock.effect}", "      "
        )


def _how_long(statement: Statement) -> str:
    if statement.rewrites:
        return "while the table is rewritten"
    if statement.held and statement.lock.blocks_writes:
        return "until the transaction ends"
    return "while the table is read" if statement.scans else "for an instant"


def _verdict(report: PlanReport) -> Iterator[str]:
    ids = {migration.id for migration in report.plan.migrations}
    error = report.style.ERROR
    for refusal in report.refusals:
        alone = len(ids) == 1 and refusal.step and refusal.migration in ids
        words = refusal.message if alone else str(refusal)
        yield from map(str, map(error, wrapped(words, "")))
    if report.refusals:
        yield str(error(report.headline))
    elif report.plan.worst is not None:
        yield str(report.style.SUCCESS(report.headline))


# --- diff ----------------------------------------------------------------------------------------


def diff_text(
    before: str,
    after: str,
    operations: Sequence[Operation],
    extras: Sequence[Extra],
    notes: Sequence[Note] = (),
    *,
    verbose: bool = False,
) -> Iterator[str]:
    """The operations that turn `before` into `after`, one per line."""
    if not operations:
        yield f"No difference from {before} to {after}."
    else:
        yield f"{counted(len(operations), 'difference')} from {before} to {after}:"
    width = kind_width(operation.kind for operation in operations)
    for operation in operations:
        yield from wrapped(f"{operation.kind:<{width}} {operation.describe()}", "  ")
    if extras:
        yield f"{counted(len(extras), 'extra')}, which no model names and nothing here drops:"
    for extra in extras:
        yield from wrapped(extra.description, "  ")
    for note in (note for note in notes if verbose or note.important):
        yield from wrapped(f"note: {note.description}", "  ")


def unexplained_text(operations: Sequence[Operation]) -> Iterator[str]:
    """Drift: operations that the database would need and no file has."""
    if operations:
        found = counted(len(operations), "difference")
        yield f"Drift: {found} between database and models that no migration explains:"
    width = kind_width(operation.kind for operation in operations)
    for operation in operations:
        yield from wrapped(f"{operation.kind:<{width}} {operation.describe()}", "  ")
    if operations:
        yield "zanith_generate --from-diff writes a file for them."


# --- status --------------------------------------------------------------------------


def newer_text(names: Sequence[str]) -> Iterator[str]:
    """Applied migrations that are newer than every file."""
    if names:
        count = counted(len(names), "applied migration")
        yield from wrapped(f"{count} newer than every file here: an older release is deployed.", "")
    for name in names:
        yield from wrapped(name, "  ")


@dataclass(frozen=True, slots=True)
class Status:
    """Facts of the ledger that the timeline does not have. `half_undone` are migrations that an
    interrupted rollback undid in part, `newer` applied ones that are newer than every file,
    `missing` sentences about other applied ones without a file."""

    unfinished: Sequence[StepRow] = ()
    half_undone: Sequence[str] = ()
    newer: Sequence[str] = ()
    missing: Sequence[str] = ()


def status_text(
    timeline: Timeline, status: Status, style: Style, *, every: bool = False
) -> Iterator[str]:
    """The position of the database on the timeline."""
    unfinished, half_undone = status.unfinished, status.half_undone
    pending = timeline.pending
    applied = len(timeline.entries) - len(pending)
    yield f"{counted(applied, 'migration')} applied, {len(pending)} pending"
    for entry in timeline.entries if every else pending:
        state = {"applied": "✓", "pending": "○", ADOPTED: "-"}[entry.state]
        note = " (Django has applied it already)" if entry.state == ADOPTED else ""
        late = " (late: older than the newest applied)" if entry.late else ""
        yield f"  {state} {entry.id}{note}{late}"
    for row in unfinished:
        yield str(style.ERROR(f"  {SIGILS[row.status]} {row.id} {row.status}"))
        for line in wrapped(row.error, "      ") if row.error else ():
            yield str(style.ERROR(line))
    for name in half_undone:
        yield str(style.ERROR(f"  {SIGILS[ROLLED_BACK]} {name} is rolled back half way"))
    yield from (str(style.ERROR(f"  {SIGILS[FAILED]} {words}")) for words in status.missing)
    yield from newer_text(status.newer)
    if half_undone:
        yield "Run zanith_rollback --steps 1: it continues there."
    elif unfinished:
        yield "Run zanith_apply: it resumes there."
    elif pending:
        yield "Run zanith_plan to see what they do, zanith_apply to run them."


# --- layout --------------------------------------------------------------------------------------


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def waiting(holder: str) -> str:
    """Another session holds the run lock."""
    return f"Waiting for another run to end: {holder}"


def kind_width(kinds: Iterable[str]) -> int:
    """The width of a column for the kinds of operations."""
    return min(30, max(15, *(len(kind) + 1 for kind in kinds), 0))


def near(path: Path) -> Path:
    """The path relative to the working directory."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _spread(left: str, right: str) -> str:
    return left + right.rjust(max(WIDTH - len(left), len(right) + 2))


def wrapped(text: str, indent: str) -> list[str]:
    """Lines of at most WIDTH columns; what follows the first is indented as deep. A word that is
    longer than a line is cut, after a dot or an underscore if possible."""
    first, *more = text.splitlines() or [""]
    inner = " " * columns(indent)
    lines = list(_wrapped(first, indent))
    return [*lines, *(line for part in more for line in _wrapped(part, inner))]


_WORDS = re.compile(r"(\s*)(\S+)")


def _wrapped(text: str, indent: str) -> Iterator[str]:
    inner = columns(indent)
    wide_of = len if text.isascii() and text.isprintable() else columns
    if text.strip() and inner + wide_of(text) <= WIDTH:
        yield indent + text.rstrip()
        return
    line, used, room = indent, inner, WIDTH - inner
    for gap, word in _WORDS.findall(text):
        first, *rest = [word] if wide_of(word) <= room else _cut(word, room)
        wide = len(gap) + wide_of(first)
        if used > inner and used + wide > WIDTH:
            yield line
            line, used = " " * inner + first, inner + wide_of(first)
        else:
            line, used = line + " " * len(gap) + first, used + wide
        for piece in rest:
            yield line
            line, used = " " * inner + piece, inner + wide_of(piece)
    if used > inner:
        yield line


def _cut(word: str, room: int) -> list[str]:
    pieces = []
    while columns(word) > room:
        end = bisect_right(list(itertools.accumulate(map(_columns, word[: room + 1]))), room)
        after_mark = max(word.rfind(mark, 0, end) for mark in "._,(/") + 1
        end = after_mark if after_mark > end // 2 else end
        pieces.append(word[:end])
        word = word[end:]
    return [*pieces, word]


def columns(text: str) -> int:
    """The width in a terminal: wide characters take two columns, and control characters those in
    which they are spelled out."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(map(_columns, text))


@functools.lru_cache(maxsize=4096)
def _columns(character: str) -> int:
    if unicodedata.category(character) == "Cc":
        return len(character.encode("unicode_escape"))
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
