"""The verdict of a run on a shadow: as text, as Markdown, as annotations of GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.management.color import Style

from zanith_django.plan.drift import BEFORE, PLAN
from zanith_django.render.github import annotation
from zanith_django.render.markdown import cell, code, row
from zanith_django.render.text import counted, kind_width, wrapped as wrapped
from zanith_django.verify.verify import OK, Verdict

Step = Mapping[str, Any]

_LACKS_ROWS = (
    "The shadow has no rows of the tables in use. If the code needs some, run "
    "zanith_verify --sample 100, or --data with a copy that has them."
)
_ORIGINS = {
    PLAN: "the plan leaves, although everything pending has run. Run zanith_generate.",
    BEFORE: "that existed before the plan. Run zanith_generate --from-diff.",
}


def _headline(verdict: Verdict) -> str:
    if verdict.verdict == OK:
        found = "takes the plan" if verdict.operations else "equals the models"
        return f"ok · shadow {found} ({verdict.seconds:.1f} s)"
    return f"{verdict.verdict} · apply is blocked ({verdict.seconds:.1f} s)"


# --- text ----------------------------------------------------------------------------------------


def verdict_text(verdict: Verdict, style: Style, *, details: bool = False) -> Iterator[str]:
    """The verdict, the effects of the steps, the remaining differences, and what to do about them.
    `details` adds every statement and the SQL of every difference."""
    yield f"shadow: {verdict.shadow}, {verdict.loaded}"
    paint = style.SUCCESS if verdict.verdict == OK else style.ERROR
    yield str(paint(_headline(verdict)))
    if verdict.error:
        yield from wrapped(verdict.error, "  ")
    if verdict.statement:
        yield from wrapped(f"statement: {verdict.statement}", "  ")
    if verdict.may_lack_rows:
        yield from wrapped(_LACKS_ROWS, "  ")
    for step in verdict.steps:
        if details or _is_shown(step):
            yield from _step_lines(step, style, details)
    yield from _drift_lines(verdict, details)
    for each in verdict.extra if details else ():
        yield from wrapped(f"extra     {each}, which no model names", "  ")
    if verdict.fingerprint:
        yield f"fingerprint: {verdict.fingerprint}"


def _is_shown(step: Step) -> bool:
    return bool(step["surprises"] or step["changed"] or step.get("estimate") or _rows(step))


def _step_lines(step: Step, style: Style, details: bool) -> Iterator[str]:
    yield f"▸ {step['migration']}::{step['step']:04d} {step['kind']} {step['target']}"
    for each in step["surprises"]:
        yield from (str(style.ERROR(line)) for line in wrapped(f"! {each['message']}", "    "))
    yield from wrapped(f"promised: {_promised(step)}", "    ")
    yield from wrapped(f"observed: {_observed(step)}", "    ")
    if step.get("estimate"):
        yield from wrapped(_estimate(step["estimate"]), "    ")
    for statement in step["statements"] if details else ():
        yield from wrapped(f"{_milliseconds(statement['seconds'])}  {statement['sql']}", "      ")
        for line in _effects(statement):
            yield from wrapped(line, "        ")


def _effects(statement: Step) -> Iterator[str]:
    if statement["unseen"]:
        yield "locks: not seen, because the text ends transactions by itself"
    elif statement["locks"]:
        yield f"locks: {_locks(statement['locks'])}"
    for name, rows in statement["rows"].items():
        yield _written(name, rows)
    for what in ("rewrites", "work", "made", "dropped"):
        if statement[what]:
            yield f"{what}: {', '.join(statement[what])}"


def _promised(step: Step) -> str:
    found = {
        f"{statement['lock']} on {', '.join(statement['tables']) or 'any table'}"
        + (", which it rewrites" if statement["rewrites"] else "")
        for statement in step["promised"]
    }
    return "; ".join(sorted(found)) or "no statement"


def _observed(step: Step) -> str:
    parts = [_locks({name: step["locks"][name] for name in step["in_use"]})]
    parts += [f"drops {words}" for words in step["dropped"]]
    parts += [f"changes {words}" for words in step["changed"]]
    rewritten = {name for statement in step["statements"] for name in statement["rewrites"]}
    parts += [f"rewrites {name}" for name in sorted(rewritten)]
    parts += [_written(name, rows) for name, rows in _rows(step).items()]
    return f"{'; '.join(filter(None, parts)) or 'no table in use'} · {_took(step)}"


def _rows(step: Step) -> dict[str, dict[str, int]]:
    """The rows that the step wrote in each table in use."""
    found: dict[str, dict[str, int]] = {}
    for statement in step["statements"]:
        for name, rows in statement["rows"].items():
            if name in step["in_use"]:
                known = found.setdefault(name, dict.fromkeys(rows, 0))
                known.update({what: known[what] + number for what, number in rows.items()})
    return found


def _written(name: str, rows: Mapping[str, int]) -> str:
    written = (f"{number:,} {what}" for what, number in rows.items() if number)
    return f"rows of {name}: {', '.join(written)}"


def _took(step: Step) -> str:
    return f"{_milliseconds(step['seconds'])}, {step['wal_bytes']:,} bytes of WAL"


def _locks(locks: Mapping[str, str]) -> str:
    return ", ".join(f"{mode} on {name}" for name, mode in locks.items())


def _estimate(estimate: Mapping[str, Any]) -> str:
    return (
        f"about {estimate['seconds']:.1f} s on {estimate['live_rows']:,} rows of "
        f"{estimate['table']}, from {_milliseconds(estimate['from_seconds'])} on "
        f"{estimate['shadow_rows']:,}"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _drift_lines(verdict: Verdict, details: bool) -> Iterator[str]:
    width = kind_width(operation["kind"] for operation in verdict.operations)
    for origin, words in _ORIGINS.items():
        found = [each for each in verdict.operations if each["origin"] == origin]
        if found:
            yield f"{counted(len(found), 'difference')} {words}"
        for operation in found:
            yield from wrapped(
                f"{operation['difference']:<9} {operation['kind']:<{width}} "
                f"{operation['description']}",
                "  ",
            )
            yield from _sides(operation) if details else ()


def _sides(operation: Mapping[str, str]) -> Iterator[str]:
    for side, text in _SIDES.items():
        for line in operation[text].splitlines() or ["nothing"]:
            yield from wrapped(f"{side}: {line}", "      ")


_SIDES = {"models": "sql", "shadow": "undo"}


# --- markdown ------------------------------------------------------------------------------------


def verdict_markdown(verdict: Verdict) -> Iterator[str]:
    """One comment for a pull request: the plan, what was observed, surprises and drift."""
    yield f"### zanith_verify: {_headline(verdict)}"
    yield ""
    yield f"Shadow: {cell(verdict.shadow)}, {cell(verdict.loaded)}."
    if verdict.error:
        yield from ("", *_block("text", verdict.error))
    if verdict.statement:
        yield from ("", *_block("sql", verdict.statement))
    if verdict.may_lack_rows:
        yield from ("", _LACKS_ROWS)
    found = list(verdict.surprises)
    if found:
        yield from ("", "**Surprises**", "")
    for step, each in found:
        yield f"- {code(step['migration'])} step {step['step']}: {cell(each['message'])}"
    if verdict.steps:
        yield from ("", *_table(verdict.steps))
    yield from _markdown_drift(verdict.operations)
    if verdict.fingerprint:
        yield from ("", f"Fingerprint: {code(verdict.fingerprint)}")


def _table(steps: Iterable[Step]) -> Iterator[str]:
    yield "| step | operation | level | promised | observed | time |"
    yield "|---|---|---|---|---|---|"
    for step in steps:
        time = _milliseconds(step["seconds"])
        if step.get("estimate"):
            time = f"{time}; {_estimate(step['estimate'])}"
        cells = (
            f"{step['migration']}::{step['step']:04d}",
            f"{step['kind']} {step['target']}",
            step["level"],
            _promised(step),
            _observed(step).rpartition(" · ")[0],
            time,
        )
        yield row(cells)


def _markdown_drift(operations: Iterable[Mapping[str, str]]) -> Iterator[str]:
    for operation in operations:
        yield ""
        yield (
            f"<details><summary>{cell(operation['difference'])}: "
            f"{cell(operation['description'])} ({operation['origin']})</summary>"
        )
        for side, text in _SIDES.items():
            yield from ("", f"{side}:", *_block("sql", operation[text] or "-- nothing"))
        yield "</details>"


def _block(language: str, text: str) -> tuple[str, str, str]:
    return f"```{language}", text.replace("```", "'''"), "```"


# --- GitHub --------------------------------------------------------------------------------------


def verdict_annotations(verdict: Verdict) -> Iterator[str]:
    """Workflow commands of GitHub Actions, one for each problem, and the headline.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    if verdict.error:
        words = "\n".join(filter(None, (verdict.error, verdict.statement)))
        yield annotation("error", verdict.verdict, words, *_place(verdict, verdict.step))
    for step, each in verdict.surprises:
        level = "warning" if verdict.verdict == OK else "error"
        words = f"Step {step['step']} ({step['kind']}): {each['message']}"
        place = _place(verdict, f"{step['migration']}::{step['step']:04d}")
        yield annotation(level, "surprise", words, *place)
    for operation in verdict.operations:
        level = "warning" if verdict.verdict == OK else "error"
        words = f"{operation['difference']}: {operation['description']}"
        yield annotation(level, f"drift ({operation['origin']})", words)
    level = "notice" if verdict.verdict == OK else "error"
    yield annotation(level, "zanith_verify", _headline(verdict))


def _place(verdict: Verdict, step: str) -> tuple[str, int]:
    """The file and the line of a step, which may be another attempt at it."""
    migration, _, number = step.partition("::")
    line = verdict.lines.get(f"{migration}::{number.partition('.')[0]}", 0)
    return verdict.files.get(migration, ""), line
