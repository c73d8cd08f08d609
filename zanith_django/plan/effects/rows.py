"""Statements that read and write rows, and the functions that they call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zanith_django.operations.moves import TableMove
from zanith_django.plan.effects import naming, sequences, settings
from zanith_django.plan.effects.tables import (
    TEMPORARY,
    filled,
    is_hidden,
    is_temporary,
    new_name,
    relation,
)
from zanith_django.plan.effects.values import DELETE, INSERT, UPDATE, Notes
from zanith_django.postgres.grammar import Node, functions, kind, walk
from zanith_django.postgres.locks import Lock
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Table

# Functions that read or compute, and those that work on settings and sequences.
_NAMES = (
    "abs age array_agg array_append array_cat array_length array_lower array_position "
    "array_remove array_replace array_to_json array_to_string array_upper ascii avg bit_and "
    "bit_or bool_and bool_or btrim cardinality ceil ceiling char_length character_length chr "
    "clock_timestamp coalesce col_description concat concat_ws convert_from convert_to count "
    "cume_dist current_database current_schema current_schemas current_setting currval date_bin "
    "date_part date_trunc decode dense_rank div encode every exists exp extract first_value "
    "floor format format_type gen_random_uuid generate_series generate_subscripts greatest "
    "has_schema_privilege has_table_privilege initcap json_agg json_array_elements "
    "json_array_elements_text json_array_length json_build_array json_build_object json_each "
    "json_each_text json_extract_path json_extract_path_text json_object json_object_agg "
    "json_object_keys json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text "
    "jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text "
    "jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg "
    "jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_pretty jsonb_set "
    "jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lag last_value "
    "lastval lead least left length ln log lower lpad ltrim make_date make_interval make_time "
    "make_timestamp make_timestamptz max md5 min mod nextval now nth_value ntile nullif "
    "num_nonnulls num_nulls obj_description octet_length overlay percent_rank pg_catalog "
    "pg_advisory_unlock pg_backend_pid pg_column_size "
    "pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_serial_sequence pg_get_viewdef "
    "pg_relation_size pg_table_is_visible pg_table_size pg_total_relation_size "
    "pg_typeof pi position power quote_ident quote_literal quote_nullable random rank "
    "regexp_count regexp_match regexp_matches regexp_replace regexp_split_to_array "
    "regexp_split_to_table regexp_substr repeat replace reverse right round row_number "
    "row_to_json rpad rtrim set_config setseed setval setweight sha256 sign split_part sqrt "
    "starts_with statement_timestamp string_agg string_to_array strip strpos substr substring "
    "sum timeofday timezone to_char to_date to_hex to_json to_jsonb to_number to_regclass "
    "to_regtype to_timestamp to_tsquery to_tsvector transaction_timestamp translate trim trunc "
    "ts_rank unaccent unnest upper uuid_generate_v4 uuidv4 uuidv7 version width_bucket xpath "
)
_HARMLESS = frozenset(_NAMES.split())
_WAITS = frozenset(
    ("pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_advisory_lock", "pg_advisory_xact_lock")
)


def select(node: Node, notes: Notes) -> None:
    """A query: the tables that it reads, and what its functions may do."""
    rows(node, notes)
    if "intoClause" in node:
        _made(node["intoClause"]["rel"], notes)
    if "lockingClause" in node:
        _lock_rows(node, notes)


def _lock_rows(node: Node, notes: Notes) -> None:
    """FOR UPDATE and the like; without a condition no other session can write any row."""
    clauses = [each["LockingClause"] for each in node["lockingClause"]]
    weak = all(each["strength"] == "LCS_FORKEYSHARE" for each in clauses)
    every = not (weak or _limits(node) or "limitCount" in node)
    for name in _read(node, notes):
        notes.lock(name, Lock.ROW_SHARE)
        notes.find("locks_rows", name)
        if every:
            notes.find("locks_writes", name)


def create_table_as(node: Node, notes: Notes) -> None:
    """CREATE TABLE AS, and CREATE MATERIALIZED VIEW."""
    rows(node["query"], notes)
    target = node["into"]["rel"]
    if not node.get("if_not_exists") and not is_temporary(target):
        naming.makes_relation(new_name(target, notes.scene), notes)
    if node.get("objtype") == "OBJECT_MATVIEW":
        notes.adds.append(new_name(target, notes.scene))
        notes.find("adds_view")
    elif not is_hidden(target, notes):
        _made(target, notes)


def _made(target: Node, notes: Notes) -> None:
    """A table with the rows of a query."""
    name = new_name(target, notes.scene)
    options = (TEMPORARY,) if is_temporary(target) else ()
    notes.lock(name, Lock.ACCESS_EXCLUSIVE)
    notes.graph = notes.graph.with_table(Table(name, options=options))
    notes.moves.append(TableMove(new=name))
    filled(name, notes)


def rows(node: Node, notes: Notes) -> None:
    """Everything below a statement that reads or writes rows."""
    for name in _read(node, notes):
        notes.lock(name, Lock.ACCESS_SHARE)
    called = functions(node)
    unknown = called - _HARMLESS - _WAITS
    if unknown:
        notes.unknown()
        notes.find("calls_functions")
        if unknown & notes.scene.dangers:
            notes.find("may_drop")
    notes.waits = notes.waits or not _WAITS.isdisjoint(called)
    sequences.set_values(node, notes)
    settings.set_configs(node, notes)
    for kind_, inner in walk(node):
        if writer := _WRITERS.get(kind_):
            writer(inner, notes)


def _read(node: Any, notes: Notes) -> list[TableName]:
    """The tables that it names, not the names of its own WITH queries."""
    found = list(walk(node))
    own = {inner.get("ctename") for name, inner in found if name == "CommonTableExpr"}
    named = [inner for name, inner in found if name == "RangeVar"]
    named = [each for each in named if each.get("schemaname") or each["relname"] not in own]
    return [relation(each, notes.scene) for each in named]


# --- writing -------------------------------------------------------------------------------------


def _written(node: Node, notes: Notes) -> TableName:
    """The table that a statement writes. A write to the catalog may change any object."""
    name = relation(node["relation"], notes.scene)
    naming.wants_table(name, notes)
    notes.lock(name, Lock.ROW_EXCLUSIVE)
    if naming.is_system(name):
        notes.unknown()
    return name


def insert(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    filled(name, notes)
    source = node.get("selectStmt", {}).get("SelectStmt", {})
    copies = "fromClause" in source or source.get("op", "SETOP_NONE") != "SETOP_NONE"
    conflict = node.get("onConflictClause", {})
    changes = conflict.get("action") == "ONCONFLICT_UPDATE"
    notes.writes_rows(name, INSERT)
    if changes:
        notes.writes_rows(name, UPDATE, _set_columns(conflict))
    if copies or changes:
        notes.find("requires_backfill", name)
        notes.works(name)
    else:
        notes.find("inserts_rows", name)


def update(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    notes.works(name)
    notes.writes_rows(name, UPDATE, _set_columns(node))
    notes.find("requires_backfill" if _limits(node) else "updates_all_rows", name)


def _set_columns(node: Node) -> Iterator[str]:
    """The columns that SET gives another value than NULL."""
    for each in (target["ResTarget"] for target in node.get("targetList", ())):
        if not each["val"].get("A_Const", {}).get("isnull"):
            yield each["name"]


def delete(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    notes.works(name)
    notes.writes_rows(name, DELETE)
    codes = ("deletes_rows",) if _limits(node) else ("deletes_all_rows",)
    notes.find_all((*codes, "irreversible"), name)
    _follow(name, notes, {name})


def _follow(name: TableName, notes: Notes, seen: set[TableName]) -> None:
    """The rows that foreign keys delete or update together with rows of this table."""
    for other in notes.scene.referrers(name):
        actions = {key.on_delete for key in other.foreign_keys if key.references == name}
        if "CASCADE" in actions and other.name not in seen:
            seen.add(other.name)
            _changes("deletes_rows", other.name, notes)
            notes.writes_rows(other.name, DELETE)
            _follow(other.name, notes, seen)
        elif any(action.startswith("SET ") for action in actions):
            _changes("requires_backfill", other.name, notes)


def _changes(code: str, name: TableName, notes: Notes) -> None:
    notes.lock(name, Lock.ROW_EXCLUSIVE)
    notes.works(name)
    notes.find(code, name)


def _limits(node: Node) -> bool:
    """Does its WHERE leave rows out? `WHERE true` and `WHERE 1 = 1` do not."""
    condition = node.get("whereClause")
    if condition is None:
        return False
    return any(name in ("ColumnRef", "CurrentOfExpr", "SubLink") for name, _ in walk(condition))


_COMMANDS = {"CMD_INSERT": INSERT, "CMD_UPDATE": UPDATE, "CMD_DELETE": DELETE}


def merge(node: Node, notes: Notes) -> None:
    name = _written(node, notes)
    notes.works(name)
    filled(name, notes)
    clauses = [each["MergeWhenClause"] for each in node.get("mergeWhenClauses", ())]
    for each in clauses:
        if how := _COMMANDS.get(each.get("commandType", "")):
            notes.writes_rows(name, how, _set_columns(each) if how == UPDATE else ())
    if any(each.get("commandType") == "CMD_DELETE" for each in clauses):
        notes.find_all(("deletes_rows", "irreversible"), name)
    notes.find("requires_backfill", name)


def copy(node: Node, notes: Notes) -> None:
    if node.get("is_program") or (node.get("filename") and not node.get("is_from")):
        notes.unknown()
    if "relation" not in node:
        rows(node["query"], notes)
    elif node.get("is_from"):
        name = _written(node, notes)
        filled(name, notes)
        notes.writes_rows(name, INSERT)
        notes.find("inserts_rows", name)
    else:
        notes.lock(relation(node["relation"], notes.scene), Lock.ACCESS_SHARE)


_WRITERS = {"InsertStmt": insert, "UpdateStmt": update, "DeleteStmt": delete, "MergeStmt": merge}


def write(node: Node, notes: Notes) -> None:
    """INSERT, UPDATE, DELETE and MERGE, given as the node that holds them."""
    name, inner = kind(node)
    rows(inner, notes)
    _WRITERS[name](inner, notes)


def lock_table(node: Node, notes: Notes) -> None:
    notes.within = True
    lock = Lock(node.get("mode", Lock.ACCESS_EXCLUSIVE))
    for each in node["relations"]:
        name = relation(each["RangeVar"], notes.scene)
        notes.lock(name, lock)
        if lock.blocks_writes:
            notes.find("locks_reads" if lock.blocks_reads else "locks_writes", name)


def call(node: Node, notes: Notes) -> None:
    """CALL: the body of a procedure is unknown."""
    rows({"FuncCall": node["funccall"]}, notes)
