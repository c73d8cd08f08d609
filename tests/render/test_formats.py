"""Every format of a plan: what it shows, that it is valid, that names cannot break out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from django.core.management.color import color_style
from jsonschema import Draft202012Validator

from tests.project import REPOSITORY
from tests.render.reports import LONG, adding, dropping, migration, nasty, of_size, report
from zanith_django.conf import CAPS
from zanith_django.files.lines import Lines, lines_of
from zanith_django.management.output import visible
from zanith_django.plan import gates
from zanith_django.plan.reasons import REASONS, Level
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.render.formats import FORMATS
from zanith_django.render.markdown import LONGEST_COMMENT
from zanith_django.render.report import PlanReport
from zanith_django.render.text import columns
from zanith_django.timeline.sources import Source

ORDERS = TableName("", "orders")
COLOUR = re.compile(r"\x1b\[[\d;]*m")
ID = "20260101_000000_drop"


def lines(form: str, of: PlanReport) -> list[str]:
    rendered = FORMATS[form].render(of)
    assert not isinstance(rendered, dict)
    return [line for text in rendered for line in visible(text).split("\n")]


def data(form: str, of: PlanReport) -> dict[str, Any]:
    rendered = FORMATS[form].render(of)
    assert isinstance(rendered, dict)
    return dict(json.loads(json.dumps(rendered)))


def one_drop() -> PlanReport:
    found = report(migration(ID, [adding(ORDERS, 1), dropping(ORDERS, 2)]))
    place = Source("shop/zanith_migrations/a b.py", Lines(7, (8, 12)))
    return replace(found, sources={ID: place})


# --- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
def test_no_line_of_the_text_is_wider_than_80_columns(colour: bool) -> None:
    plan = nasty()
    plan = replace(plan, style=color_style(force_color=True)) if colour else plan
    shown = lines("text", plan)
    assert colour == any(COLOUR.search(line) for line in shown)
    plain = [COLOUR.sub("", line) for line in shown]
    assert [line for line in plain if columns(line) > 80] == []
    assert "".join(plain).replace(" ", "").count(LONG) > 20  # wrapped, and nothing is cut off


def test_no_line_of_the_refusals_alone_is_wider_than_80_columns() -> None:
    shown = lines("text", nasty(verbosity=0))
    assert shown
    assert [line for line in shown if columns(line) > 80] == []


def test_the_details_are_within_80_columns_but_for_sql() -> None:
    plan = nasty(verbosity=2)
    sql = {line for _, step in plan.plan.steps for line in visible(step.sql).split("\n")}
    wide = [line.strip() for line in lines("text", plan) if columns(line) > 80]
    assert wide
    assert [line for line in wide if line not in sql and f"{line};" not in sql] == []


def test_a_name_with_a_line_break_does_not_repeat_what_is_before_it() -> None:
    table = TableName("", "one\nother")
    shown = lines("text", report(migration(ID, [adding(table, 1)])))
    first, second = shown[4:6]
    assert first == "  01  safe          5  addColumn       one"
    assert second == "                       other.note"


# --- JSON ----------------------------------------------------------------------------------------

SCHEMA: dict[str, Any] = json.loads((REPOSITORY / "docs" / "plan.schema.json").read_text())


def closed(schema: Any) -> Any:
    """The schema, which then refuses fields that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(each) for name, each in schema.items()}
    return {"additionalProperties": False, **made} if "properties" in made else made


@pytest.mark.parametrize("plan", [nasty(), one_drop(), report()], ids=["all", "drop", "empty"])
def test_the_json_of_a_plan_is_what_its_schema_says(plan: PlanReport) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(closed(SCHEMA)).validate(data("json", plan))


def test_the_nasty_plan_has_every_field_of_the_schema() -> None:
    found = data("json", nasty())
    steps, parts = found["migrations"][0]["steps"], SCHEMA["$defs"]
    assert found.keys() == SCHEMA["properties"].keys()
    assert set().union(*steps) == parts["step"]["properties"].keys()
    assert steps[0]["findings"][0].keys() == parts["finding"]["properties"].keys()


def test_the_words_of_the_schema_are_those_of_the_code() -> None:
    parts = SCHEMA["$defs"]
    assert parts["level"]["enum"] == [str(level) for level in Level]
    assert parts["lock"]["enum"] == [str(lock) for lock in Lock]
    assert tuple(parts["refusal"]["properties"]["gate"]["enum"]) == gates.NAMES
    assert set(SCHEMA["properties"]["mode"]["enum"]) == set(CAPS)


def test_a_gate_has_the_name_of_its_function() -> None:
    assert tuple(getattr(gate, "__name__", "") for gate in gates.GATES) == gates.NAMES


# --- GitHub --------------------------------------------------------------------------------------


def test_a_refused_step_is_an_error_on_its_line() -> None:
    error, verdict = lines("github", one_drop())
    assert error.startswith(
        "::error file=shop/zanith_migrations/a b.py,line=12,"
        "title=destructive 80%3A dropColumn orders.legacy::"
        f"{ID}: Step 02 (dropColumn) scores 80 · over the budget of 35"
    )
    assert "needs --allow-destructive" in error
    assert "(docs/reasons/drops_column_with_data.md)" in error
    assert verdict == "::error title=zanith_plan::blocked · review required"


def test_a_high_step_within_the_budget_is_a_warning() -> None:
    found = replace(one_drop(), refusals=(), max_risk=100)
    warning, verdict = lines("github", found)
    assert warning.startswith("::warning file=shop/zanith_migrations/a b.py,line=12,")
    assert (
        verdict == "::notice title=zanith_plan::ready · worst step is destructive (80), budget 100"
    )


def test_a_migration_without_a_file_is_an_error_on_the_first_line_of_djangos() -> None:
    place = {"django:shop.0003_floor": Source("shop/migrations/0003_floor.py", Lines(4))}
    found = lines("github", replace(nasty(), sources=place))
    assert any(
        line.startswith(
            "::error file=shop/migrations/0003_floor.py,line=4,title=zanith_plan%3A cov"
        )
        for line in found
    )


def test_a_name_cannot_add_an_annotation_or_a_property() -> None:
    for line in lines("github", nasty()):
        head, _, _ = line.removeprefix("::").partition("::")
        assert re.fullmatch(r"(error|notice) (title|file|line)=[^,:\n]*", head)


# --- SARIF ---------------------------------------------------------------------------------------

# What sarif-2.1.0 requires, and the values that it allows.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "text": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": {"type": "string"}},
        },
        "level": {"enum": ["none", "note", "warning", "error"]},
        "run": {
            "required": ["tool"],
            "properties": {
                "tool": {
                    "required": ["driver"],
                    "properties": {"driver": {"$ref": "#/$defs/driver"}},
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "driver": {
            "required": ["name"],
            "properties": {
                "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}}
            },
        },
        "rule": {
            "required": ["id"],
            "properties": {
                "shortDescription": {"$ref": "#/$defs/text"},
                "fullDescription": {"$ref": "#/$defs/text"},
                "help": {"$ref": "#/$defs/text"},
                "defaultConfiguration": {"properties": {"level": {"$ref": "#/$defs/level"}}},
            },
        },
        "result": {
            "required": ["message"],
            "properties": {
                "level": {"$ref": "#/$defs/level"},
                "message": {"$ref": "#/$defs/text"},
                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation"],
                    "properties": {
                        "artifactLocation": {"properties": {"uri": {"pattern": "^[^ ]+$"}}},
                        "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
                    },
                }
            }
        },
    },
}


@pytest.mark.parametrize("plan", [nasty(), one_drop(), report()], ids=["all", "drop", "empty"])
def test_sarif_has_what_its_schema_requires(plan: PlanReport) -> None:
    found = data("sarif", plan)
    Draft202012Validator(SARIF).validate(found)
    (run,) = found["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert rules == REASONS.keys() | {f"gate/{name}" for name in gates.NAMES}
    assert {result["ruleId"] for result in run["results"]} <= rules


def test_a_reason_of_a_refused_step_is_an_error_on_its_line() -> None:
    drop, breaks = data("sarif", one_drop())["runs"][0]["results"]
    assert (drop["ruleId"], breaks["ruleId"]) == ("drops_column_with_data", "breaks_running_code")
    assert drop["level"] == breaks["level"] == "error"
    assert f"{ID} step 02: dropColumn orders.legacy" in drop["message"]["text"]
    assert drop["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {
                    "uri": "shop/zanith_migrations/a%20b.py",
                    "uriBaseId": "%SRCROOT%",
                },
                "region": {"startLine": 12},
            }
        }
    ]


def test_what_may_run_is_a_warning_or_a_note() -> None:
    found = data("sarif", replace(one_drop(), refusals=()))["runs"][0]["results"]
    assert {result["level"] for result in found} == {"warning"}


def test_a_refusal_that_no_reason_explains_is_a_result_of_its_gate() -> None:
    found = data("sarif", nasty())["runs"][0]["results"]
    loose = [result for result in found if result["ruleId"].startswith("gate/")]
    assert {result["ruleId"] for result in loose} == {"gate/integrity", "gate/coverage"}
    assert {result["level"] for result in loose} == {"error"}


# --- Markdown ------------------------------------------------------------------------------------


def test_the_comment_begins_with_the_refusals_and_has_a_row_for_each_step() -> None:
    shown = lines("markdown", one_drop())
    assert shown[0] == "### zanith_plan: blocked · review required"
    refusals = [line for line in shown if line.startswith("- 2026")]
    assert shown.index(refusals[0]) < shown.index(
        "| step | level | what | lock | duration | rows | reason | undo |"
    )
    rows = [line for line in shown if "::000" in line]
    assert rows[1] == (
        "| 20260101\\_000000\\_drop::0002 | destructive 80, refused | dropColumn orders.legacy "
        "| ACCESS EXCLUSIVE on orders | under a second | 0 "
        "| drops\\_column\\_with\\_data, breaks\\_running\\_code | cannot be undone |"
    )
    assert any("](docs/reasons/drops_column_with_data.md) (destructive 80): " in s for s in shown)


def test_a_name_cannot_break_the_table() -> None:
    rows = [line for line in lines("markdown", nasty()) if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {9}
    assert not [line for line in rows if "<b>" in line]


def test_a_comment_is_never_longer_than_github_takes() -> None:
    text = "\n".join(lines("markdown", of_size(400)))
    assert len(text) < LONGEST_COMMENT + 200
    assert re.search(r"… and \d[\d,]* more lines: run zanith_plan", text)


# --- lines of files ------------------------------------------------------------------------------


def lines_in(operations: Iterable[str]) -> Lines:
    body = "\n".join(operations)
    return lines_of(f"import x\n\n\nclass Migration(x.Migration):\n    {body}\n".encode())


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (["operations = [", "a(", "1),", "b()]"], (6, 8)),
        (["operations: list = [a()]"], (5,)),
        (["operations = [a()] + [", "b()] + [c()]"], (5, 6, 6)),
        (["operations = [a(),", "*more,", "b()]"], (5,)),
        (["operations = [a()] + more() + [", "b()]"], (5,)),
        (["operations = made()"], ()),
    ],
)
def test_operations_have_the_lines_on_which_they_are_written(
    operations: list[str], expected: tuple[int, ...]
) -> None:
    found = lines_in(operations)
    assert found.operations == expected
    assert found.of(99) == found.of(0) == 5


def test_a_migration_without_operations_has_the_line_of_its_class() -> None:
    assert lines_in(["pass"]).of(1) == 4
    assert lines_of(b"Migration = made()\n").of(3) == 1
