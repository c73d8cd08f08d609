"""Every reason can be given, and every code that is given is a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import zanith_django
from tests.reasons import EXAMPLES
from tests.reasons.example import Example
from tests.reasons.judged import Judged, every_form, judged
from zanith_django.operations import DropColumn, RenameColumn
from zanith_django.operations.base import Context, Operation
from zanith_django.plan.collisions import collisions
from zanith_django.plan.reasons import REASONS
from zanith_django.plan.risk import assess
from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Dependent
from zanith_django.schema.graph import Column, SchemaGraph, Table

PACKAGE = Path(zanith_django.__file__).parent
CODE = re.compile(r"[a-z]+(_[a-z]+)+")
# Calls whose texts are codes.
GIVERS = {"find", "find_all", "note", "Finding", "Collision"}


@pytest.fixture(scope="module")
def plans() -> dict[str, Judged]:
    return judged()


def test_every_reason_has_an_example() -> None:
    assert EXAMPLES.keys() == REASONS.keys()


@pytest.mark.parametrize(("label", "example"), [(label, e) for label, e, _ in every_form()])
def test_a_change_gets_the_reason_and_a_safer_one_does_not(
    label: str, example: Example, plans: dict[str, Judged]
) -> None:
    code, _, which = label.rpartition("_")
    given = code in plans[label].assessment.reasons
    assert plans[label].steps
    assert given is (which.startswith("bad") and not example.shown_by)


def test_every_code_that_the_package_gives_is_a_reason() -> None:
    found = {text for path in _modules() for text in _given(ast.parse(path.read_text()))}
    given = set(filter(CODE.fullmatch, found))
    assert given <= REASONS.keys()
    assert len(given) > len(REASONS) / 2  # the search finds them


def test_every_reason_is_given_by_the_package() -> None:
    texts = {text for path in _modules() for text in _texts(ast.parse(path.read_text()))}
    assert texts >= REASONS.keys()


def test_every_reason_says_all_that_a_page_shows() -> None:
    for reason in REASONS.values():
        assert all(text.endswith(".") for text in (reason.effect, reason.safer)), reason.code
        assert not reason.title.endswith("."), reason.code
        assert re.fullmatch(r"[a-z-]+(#[A-Z-]+)?", reason.manual), reason.code


def test_a_view_on_a_column_blocks_its_removal() -> None:
    view = Dependent("view", "public.titles", columns=("title",))
    assert "dependent_objects" in reasons_of(DropColumn, view, column=Column("title", "text"))


def test_a_rename_stops_subscribers() -> None:
    published = Dependent("publication", "news", "published", more=("slot s",))
    assert "stops_subscribers" in reasons_of(RenameColumn, published, old="title", new="name")


def reasons_of(kind: type[Operation], dependent: Dependent, **fields: object) -> tuple[str, ...]:
    name = TableName("", "book")
    columns = (Column("id", "bigint", nullable=False), Column("title", "text"))
    context = Context(graph=SchemaGraph((Table(name, columns, dependents=(dependent,)),)))
    operation = kind(table=name, **fields)  # type: ignore[call-arg]
    return assess(operation, context, (), collisions(operation, context)).reasons


# --- the source ----------------------------------------------------------------------------------


def _modules() -> Iterator[Path]:
    for path in PACKAGE.rglob("*.py"):
        if PACKAGE / "plan" / "reasons" not in path.parents:
            yield path


def _given(tree: ast.AST) -> Iterator[str]:
    """The texts in functions called `reasons`, and in calls that give one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.endswith("reasons"):
            yield from _texts(node)
        elif isinstance(node, ast.Call) and _name(node.func) in GIVERS:
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield from _texts(argument)


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _texts(tree: ast.AST) -> Iterator[str]:
    """Every text, except keys of a subscript."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.value
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(tree, ast.Subscript) and child is tree.slice):
            yield from _texts(child)
