"""A plan in SARIF 2.1.0, which code scanning of GitHub, GitLab and editors read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from zanith_django.plan.gates import NAMES, Refusal
from zanith_django.plan.plan import PlannedMigration, PlannedStep
from zanith_django.plan.reasons import REASONS, Level, Reason
from zanith_django.render.report import PlanReport
from zanith_django.timeline.sources import Source

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def plan_sarif(report: PlanReport) -> dict[str, Any]:
    """One run. Its rules are the reasons and the gates; a result is a reason of a step, or a
    refusal that no reason explains."""
    driver = {"name": "zanith_django", "version": _version(), "rules": _rules()}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": list(_results(report)),
                "properties": {"database": report.plan.database, "max_risk": report.max_risk},
            }
        ],
    }


def _version() -> str:
    try:
        return version("zanith_django")
    except PackageNotFoundError:  # run from a folder, without an installation
        return "0"


# --- rules ---------------------------------------------------------------------------------------


def _rules() -> list[dict[str, Any]]:
    return [*map(_rule, REASONS.values()), *map(_gate_rule, NAMES)]


def _rule(reason: Reason) -> dict[str, Any]:
    words = f"{reason.effect} Safer: {reason.safer}"
    return {
        "id": reason.code,
        "shortDescription": {"text": f"{reason.title}."},
        "fullDescription": {"text": words},
        "help": {
            "text": f"{words} See {reason.page}.",
            "markdown": f"{words} See [{reason.code}]({reason.page}).",
        },
        "defaultConfiguration": {"level": _severity(reason.level)},
        "properties": {"level": str(reason.level), "score": int(reason.level)},
    }


def _gate_rule(name: str) -> dict[str, Any]:
    text = f"The gate {name} refuses the plan."
    return {
        "id": _gate_id(name),
        "shortDescription": {"text": text},
        "help": {"text": f"{text} See docs/risk.md."},
        "defaultConfiguration": {"level": "error"},
    }


def _gate_id(name: str) -> str:
    return f"gate/{name}"


def _severity(level: Level) -> str:
    return "warning" if level >= Level.HIGH else "note"


# --- results -------------------------------------------------------------------------------------


def _results(report: PlanReport) -> Iterator[dict[str, Any]]:
    for refusal in report.loose:
        yield _refused(report, refusal)
    for migration, step, refusals in report.judged:
        codes = [code for code in step.assessment.reasons if REASONS[code].level > Level.SAFE]
        for code in codes:
            yield _found(report, migration, step, code, refusals)
        for refusal in refusals if not codes else ():
            yield _refused(report, refusal)


def _found(
    report: PlanReport,
    migration: PlannedMigration,
    step: PlannedStep,
    code: str,
    refusals: tuple[Refusal, ...],
) -> dict[str, Any]:
    """A reason of a step; an error if a gate refuses the step."""
    what = f"{migration.id} step {step.number:02d}: {step.kind} {step.operation.target}"
    lines = [f"{what}. {REASONS[code].effect}", *map(str, refusals)]
    level = "error" if refusals else _severity(REASONS[code].level)
    place = report.source(migration.id), step.number
    return _result(code, level, "\n".join(lines), migration.id, *place)


def _refused(report: PlanReport, refusal: Refusal) -> dict[str, Any]:
    place = report.source(refusal.migration), refusal.step
    return _result(_gate_id(refusal.gate), "error", str(refusal), refusal.migration, *place)


def _result(
    rule: str, level: str, text: str, migration: str, source: Source | None, step: int
) -> dict[str, Any]:
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        **({"locations": [_location(source, step)]} if source else {}),
        "partialFingerprints": {"zanithStep/v1": f"{migration}::{step:04d}/{rule}"},
    }


def _location(source: Source, step: int) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": _artifact(source.path),
            "region": {"startLine": source.lines.of(step)},
        }
    }


def _artifact(path: str) -> dict[str, str]:
    if PurePosixPath(path).is_absolute():
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}
