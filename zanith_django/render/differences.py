"""A difference between two schemas as a table in Markdown and as a script in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from zanith_django.operations import Operation
from zanith_django.operations.base import Context, script
from zanith_django.plan.table_facts import after as known_after
from zanith_django.render.markdown import cell, row
from zanith_django.schema.findings import Extra
from zanith_django.schema.graph import SchemaGraph


def diff_markdown(
    before: str, after: str, operations: Sequence[Operation], extras: Sequence[Extra]
) -> Iterator[str]:
    """A table for a pull request or a wiki."""
    yield f"### Schema difference: {cell(before)} → {cell(after)}"
    yield ""
    if not operations:
        yield "No difference."
    else:
        yield "| operation | target | description |"
        yield "|---|---|---|"
    for operation in operations:
        cells = (operation.kind, operation.target, operation.describe())
        yield row(cells)
    if extras:
        yield ""
        yield "Not in any model, and never dropped:"
        yield ""
    for extra in extras:
        yield f"- {cell(extra.description)}"


def diff_sql(
    before: str,
    after: str,
    operations: Iterable[Operation],
    start: SchemaGraph,
    server_version: int,
) -> Iterator[str]:
    """The statements that turn one schema into the other, in the forms that zanith_apply runs: an
    index of a table that the script does not create is built concurrently."""
    yield f"-- {_comment(before)} -> {_comment(after)}"
    context = Context(
        server_version=server_version, schema=start.default_schema, graph=start, migration_id="diff"
    )
    for operation in operations:
        yield f"\n-- {operation.kind}: {_comment(operation.describe())}"
        yield script(operation.statements(context))
        context = known_after(context, operation)


def _comment(text: str) -> str:
    """The text on one line, because a line break would end the comment."""
    return " ".join(text.split())
