"""Columns in ALTER TABLE and CREATE TABLE: what they become, and what that costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from zanith_django.operations.online.rewrites import (
    always_same,
    narrows,
    rebuilds_indexes,
    rewrite_needed,
    verifies_rows,
)
from zanith_django.plan.effects.expressions import spelled
from zanith_django.plan.effects.values import Notes, Scene
from zanith_django.postgres.grammar import (
    Node,
    columns,
    functions,
    is_serial,
    strings,
    type_name,
    walk,
)
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Check, Column, ForeignKey, PrimaryKey, Table, Unique

GIVEN = "given in SQL"
"""The text of an expression that was read in a statement and not printed by PostgreSQL."""

_ACTIONS = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}


def constraints(definition: Node, *kinds: str) -> list[Node]:
    """The constraints of a column's definition that are of these kinds."""
    found = [each["Constraint"] for each in definition.get("constraints", ())]
    return [each for each in found if each["contype"].removeprefix("CONSTR_") in kinds]


def column_of(definition: Node) -> Column:
    """A column as its definition says; expressions become `GIVEN`."""
    serial = is_serial(definition["typeName"])
    generated = constraints(definition, "GENERATED")
    identity = constraints(definition, "IDENTITY")
    default = [each for each in constraints(definition, "DEFAULT") if not _is_null(each)]
    always = identity and identity[0].get("generated_when") == "a"
    kept = "always" if always else "by default" if identity else "serial" if serial else ""
    required = constraints(definition, "NOTNULL", "PRIMARY", "IDENTITY")
    return Column(
        definition["colname"],
        type_name(definition["typeName"]),
        nullable=not required and not serial,
        default=GIVEN if default else None,
        identity=kept,
        generated=GIVEN if generated else "",
        collation=collation_of(definition),
    )


def _is_null(default: Node) -> bool:
    return bool(default.get("raw_expr", {}).get("A_Const", {}).get("isnull"))


def collation_of(definition: Node) -> str:
    found = strings(definition.get("collClause", {}).get("collname"))
    return ".".join(f'"{name}"' for name in found)


def is_computed_per_row(expression: Any) -> bool:
    """Does its value differ from row to row, so that ADD COLUMN has to write each?"""
    return not always_same(functions(expression)) or any(
        name == "NextValueExpr" for name, _ in walk(expression)
    )


def writes_rows(column: Column, definition: Node, scene: Scene) -> bool:
    """Does ADD COLUMN write every row?"""
    if column.identity or column.generated:
        return True
    defaults = constraints(definition, "DEFAULT")
    if any(is_computed_per_row(each.get("raw_expr")) for each in defaults):
        return True
    names = strings(definition["typeName"].get("names"))
    return bool(names) and names[-1] in scene.domains


def constant(column: Column, definition: Node) -> str:
    """The value that existing rows get in a new column, as SQL; "" if they differ or get NULL."""
    defaults = constraints(definition, "DEFAULT")
    if column.default is None or is_computed_per_row(defaults):
        return ""
    text = spelled(defaults[0].get("raw_expr"))
    return f"({text})::{column.type}" if text else ""


# --- a change of type ----------------------------------------------------------------------------


def retype(notes: Notes, table: Table, name: str, definition: Node) -> Column | None:
    """ALTER COLUMN … TYPE; the column after it, None if the column is unknown."""
    kind, old = type_name(definition["typeName"]), table.column(name)
    using = definition.get("raw_default")
    if old is None:
        notes.find("changes_column_type", table.name)
        notes.rewritten(table.name)
        return None
    new = dataclasses.replace(old, type=kind, collation=collation_of(definition))
    moved = using is not None and not _is_plain(using, name)
    if moved or rewrite_needed(old, new):
        narrower = narrows(old.type, new.type)
        notes.find("narrows_column_type" if narrower else "changes_column_type", table.name)
        notes.rewritten(table.name)
    elif rebuilds_indexes(table, old, new):
        notes.find("changes_column_type", table.name)
        notes.find("rebuilds_indexes", table.name)
        notes.works(table.name)
    elif verifies_rows(table, old, new):
        notes.find("scans_table", table.name)
        notes.works(table.name)
    return new


def _is_plain(using: Node, name: str) -> bool:
    """`USING "a"::bigint` adds nothing to the type."""
    inner = using.get("TypeCast", {}).get("arg", using)
    return "ColumnRef" in inner and columns(inner) == (name,)


# --- constraints ---------------------------------------------------------------------------------


def foreign_key(node: Node, scene: Scene, own: Iterable[str] = ()) -> ForeignKey:
    """A foreign key of a table, or of a column named `own`."""
    target = node["pktable"]
    name = scene.name(target.get("schemaname", ""), target["relname"])
    columns_ = tuple(strings(node.get("fk_attrs"))) or tuple(own)
    referenced = tuple(strings(node.get("pk_attrs")))
    known = scene.table(name)
    if not referenced and known and known.primary_key:
        referenced = known.primary_key.columns
    deferred = node.get("initdeferred")
    return ForeignKey(
        node.get("conname") or f"{'_'.join(columns_)}_fkey",
        columns_,
        name,
        referenced,
        on_delete=_ACTIONS.get(node.get("fk_del_action", "a"), "NO ACTION"),
        on_update=_ACTIONS.get(node.get("fk_upd_action", "a"), "NO ACTION"),
        deferrable="deferred" if deferred else "immediate" if node.get("deferrable") else "",
        valid=not node.get("skip_validation"),
    )


def check(node: Node, table: TableName, own: Iterable[str] = ()) -> Check:
    named = columns(node.get("raw_expr")) or tuple(own)
    expression = spelled(node.get("raw_expr")) or GIVEN
    name = node.get("conname") or f"{table.name}_{'_'.join(named)}_check"
    return Check(name, expression, named, valid=not node.get("skip_validation"))


def unique(node: Node, table: TableName, own: Iterable[str] = ()) -> Unique:
    keys = tuple(strings(node.get("keys"))) or tuple(own)
    return Unique(
        node.get("conname") or f"{table.name}_{'_'.join(keys)}_key",
        keys,
        tuple(strings(node.get("including"))),
        nulls_not_distinct=bool(node.get("nulls_not_distinct")),
    )


def exclusion(node: Node) -> str:
    """The definition of an exclusion constraint, as far as its expressions can be spelled."""
    pairs = [each["List"]["items"] for each in node["exclusions"]]
    keys = [_key(element["IndexElem"]) for element, _ in pairs]
    where = spelled(node["where_clause"]) if "where_clause" in node else "true"
    if not (all(keys) and where):
        return GIVEN
    operators = [strings(operator)[-1] for _, operator in pairs]
    listed = ", ".join(f"{k} WITH {o}" for k, o in zip(keys, operators, strict=True))
    end = f" WHERE ({where})" if "where_clause" in node else ""
    return f"EXCLUDE USING {node.get('access_method', 'btree')} ({listed}){end}"


def _key(element: Node) -> str:
    if "name" in element:
        return spelled({"ColumnRef": {"fields": [{"String": {"sval": element["name"]}}]}})
    text = spelled(element.get("expr"))
    return f"({text})" if text else ""


def key_columns(node: Any) -> tuple[str, ...]:
    """The columns of index keys, those in their expressions too."""
    named = {inner["name"] for name, inner in walk(node) if name == "IndexElem" and "name" in inner}
    return tuple(sorted({*named, *columns(node)}))


def primary_key(node: Node, table: TableName, own: Iterable[str] = ()) -> PrimaryKey:
    keys = tuple(strings(node.get("keys"))) or tuple(own)
    return PrimaryKey(node.get("conname") or f"{table.name}_pkey", keys)


def with_constraint(table: Table, node: Node, scene: Scene, own: Iterable[str] = ()) -> Table:
    """The table with a constraint that a statement gives it."""
    kind = node["contype"].removeprefix("CONSTR_")
    if kind == "FOREIGN":
        return table.with_item("foreign_keys", foreign_key(node, scene, own))
    if kind == "CHECK":
        return table.with_item("checks", check(node, table.name, own))
    if kind == "UNIQUE":
        return table.with_item("uniques", unique(node, table.name, own))
    if kind == "PRIMARY":
        return dataclasses.replace(table, primary_key=primary_key(node, table.name, own))
    return table


def proves_not_null(table: Table, column: str) -> bool:
    """Does a valid check say so? Then SET NOT NULL reads no row."""
    wanted = (f"{column} IS NOT NULL", f'"{column}" IS NOT NULL')
    texts = (each.expression for each in table.checks if each.valid and column in each.columns)
    return any(text.strip("()") in wanted for text in texts)
