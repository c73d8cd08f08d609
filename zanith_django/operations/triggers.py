"""Triggers of users: no operation creates one, but recreated tables and columns keep theirs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

from zanith_django.operations.base import Context, Statement, alter_table
from zanith_django.postgres import sql
from zanith_django.postgres.grammar import Node, kind, parse, strings, walk
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.dependents import Trigger
from zanith_django.schema.graph import Table

# Settings that decide how a text is read are stored with the function, so that values of all
# clients are converted as those of the migration.
_FUNCTION = """\
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
  SET search_path FROM CURRENT SET "TimeZone" FROM CURRENT SET "DateStyle" FROM CURRENT
  SET "IntervalStyle" FROM CURRENT AS $zanith$
#variable_conflict use_column
BEGIN
  {body}
  RETURN NEW;
END $zanith$"""

_STATE = """\
SELECT 'done' FROM pg_catalog.pg_trigger
WHERE tgrelid = to_regclass({table}) AND tgname = {name}"""

# TRIGGER_TYPE_BEFORE of PostgreSQL's catalog/pg_trigger.h.
_BEFORE = 2

_MODES = {
    "": "ENABLE",
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}


def triggers_on(table: Table, column: str) -> list[Trigger]:
    """The triggers that fire on an update of the column, or read it in their WHEN."""
    return [item for item in table.triggers if _fires_on(item, column)]


def whole_row_triggers(table: Table) -> list[Trigger]:
    """Triggers that PostgreSQL would not recreate: they run before a write and read the whole new
    row in their WHEN, and the table has generated columns now."""
    if not any(column.generated for column in table.columns):
        return []
    return [item for item in table.triggers if _reads_new_row(item)]


def _fires_on(trigger: Trigger, column: str) -> bool:
    """Does it name the column after UPDATE OF, or read it in its WHEN?"""
    node = _parsed(trigger.definition)
    if node is None:
        return True  # unknown
    read = {name for fields in _references(node) for name in strings(fields)[1:]}
    return column in {*strings(node.get("columns")), *read}


def _reads_new_row(trigger: Trigger) -> bool:
    node = _parsed(trigger.definition)
    if node is None:
        return True  # unknown
    whole = any(fields[-1:] == [{"A_Star": {}}] for fields in _references(node, "new"))
    return whole and node.get("timing") == _BEFORE


def _references(node: Node, row: str = "") -> Iterator[list[Node]]:
    """The columns in the WHEN of a trigger, each with its row: OLD, NEW or the one given."""
    for name, inner in walk(node.get("whenClause")):
        if name == "ColumnRef" and row in ("", *strings(inner["fields"])[:1]):
            yield inner["fields"]


@functools.lru_cache(maxsize=1_000)
def _parsed(definition: str) -> Node | None:
    found = parse(definition)
    return kind(found[0][1])[1] if found else None


def drop_trigger(table: TableName, name: str, context: Context) -> Statement:
    text = sql.compose(
        "DROP TRIGGER {name} ON {table}", name=sql.ident(name), table=context.table(table)
    )
    return Statement(text, Lock.ACCESS_EXCLUSIVE, (table,))


def make_triggers(
    table: TableName, triggers: Iterable[Trigger], context: Context
) -> list[Statement]:
    """The triggers of the catalog, disabled ones too."""
    statements = []
    for item in triggers:
        statements.append(Statement(item.definition, Lock.SHARE_ROW_EXCLUSIVE, (table,)))
        if item.enabled:
            statements.append(switch_trigger(table, item.name, item.enabled, context))
    return statements


def switch_trigger(table: TableName, name: str, enabled: str, context: Context) -> Statement:
    """`enabled` is "" for as usual, "disabled", "replica" or "always"."""
    text = alter_table(
        context,
        table,
        "{mode} TRIGGER {name}",
        mode=sql.keyword(_MODES[enabled]),
        name=sql.ident(name),
    )
    return Statement(text, Lock.SHARE_ROW_EXCLUSIVE, (table,))


# --- zanith's triggers ---------------------------------------------------------------------------


def own_trigger(name: str) -> str:
    """Triggers fire in the order of their names, and zanith's must see the values of others."""
    return f"~{name}"


def keep_right(
    table: TableName,
    name: str,
    body: sql.Fragment,
    context: Context,
    *,
    when: sql.Fragment | None = None,
    changed: sql.Fragment | None = None,
) -> list[Statement]:
    """A zanith trigger that runs `body` on rows that are about to be written: on all, on those
    for which `when` holds, or on new ones and those for which `changed` holds. Rows that are left
    out cost next to nothing."""
    function = _function(table, name, context)
    text = sql.compose(_FUNCTION, function=function, body=body)
    made = [Statement(text, Lock.NONE, makes=(name,))]
    events: list[tuple[str, sql.Fragment | None]] = [("INSERT OR UPDATE", when)]
    if changed is not None:
        events = [("INSERT", None), ("UPDATE", changed)]
    for trigger, (event, condition) in zip(_names(name), events, strict=False):
        text = sql.compose(
            "CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW{when} "
            "EXECUTE FUNCTION {function}()",
            trigger=sql.ident(trigger),
            event=sql.keyword(event),
            table=context.table(table),
            when=sql.clause(" WHEN ({it})", it=condition) if condition else sql.EMPTY,
            function=function,
        )
        made.append(Statement(text, Lock.SHARE_ROW_EXCLUSIVE, (table,)))
        made.append(switch_trigger(table, trigger, "always", context))
    return made


def keep_no_longer(
    table: TableName, name: str, context: Context, *, changed: bool = False
) -> list[Statement]:
    """Removes the trigger of `keep_right`, with `changed` or without."""
    text = sql.compose("DROP FUNCTION {it}()", it=_function(table, name, context))
    triggers = _names(name) if changed else _names(name)[:1]
    dropped = [drop_trigger(table, trigger, context) for trigger in triggers]
    return [*dropped, Statement(text, Lock.NONE)]


def _names(name: str) -> tuple[str, str]:
    return own_trigger(name), own_trigger(f"{name}_update")


def trigger_state(table: TableName, name: str, context: Context) -> str:
    """The probe of a zanith trigger: done when it exists."""
    return sql.compose(
        _STATE,
        table=sql.regclass(table, context.schema),
        name=sql.literal(own_trigger(name)),
    )


def of_new_row(expression: str, table: TableName) -> sql.Fragment:
    """An expression over the columns of a table, for the row that is about to be written."""
    return sql.clause(
        "(SELECT {it} FROM (SELECT NEW.*) AS {table})",
        it=sql.catalog_text(expression),
        table=sql.ident(table.name),
    )


def _function(table: TableName, name: str, context: Context) -> sql.Fragment:
    return sql.qualified(table.schema or context.schema, name)
