"""SQL text as PostgreSQL's own parse tree: statements, names, types, and what an expression uses.

The grammar is that of PostgreSQL 17; the few clauses that version 18 added are read as the older
form that takes the same locks and does the same work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pgparse

Node = Mapping[str, Any]
"""A node of PostgreSQL's parse tree, as JSON data."""

_NEWER = (
    (  # ALTER CONSTRAINT … [NOT] ENFORCED stays: no older form checks all rows, or none any more
        re.compile(
            r"(\bALTER\s+CONSTRAINT\s+(?:\"[^\"]+\"|\w+)\s+(?:NOT\s+)?ENFORCED\b)"
            r"|\s+(?:NOT\s+)?ENFORCED\b",
            re.I,
        ),
        r"\1",
    ),
    (
        re.compile(r"(\bADD\s+(?:CONSTRAINT\s+\S+\s+)?)NOT\s+NULL\s+(\"[^\"]+\"|\w+)", re.I),
        r"\1CHECK (\2 IS NOT NULL)",
    ),
)


def parse(text: str) -> list[tuple[str, Node]] | None:
    """[(text of the statement, its node)]; None if PostgreSQL's grammar does not accept it."""
    found = _parsed(text)
    if found is None:
        older = _without_virtual(text)
        for pattern, form in _NEWER:
            older = pattern.sub(form, older)
        found = _parsed(older) if older != text else None
        text = older
    if found is None:
        return None
    data = text.encode()
    return [(_part(data, each), each["stmt"]) for each in found if each.get("stmt")]


def refusal(text: str) -> str:
    """The error of PostgreSQL's grammar; "" if it accepts the text."""
    if parse(text) is not None:
        return ""
    try:
        pgparse.parse(text)
    except pgparse.PGQueryError as error:
        return str(error.args[0])
    return ""


_GENERATED = re.compile(r"\bGENERATED\s+ALWAYS\s+AS\s*\(", re.I)
_VIRTUAL = re.compile(r"\s*VIRTUAL\b", re.I)


def _without_virtual(text: str) -> str:
    """The text without the expressions of virtual columns: PostgreSQL stores no value of them."""
    place = 0
    while found := _GENERATED.search(text, place):
        end = _closing(text, found.end())
        virtual = _VIRTUAL.match(text, end)
        if virtual:
            text = text[: found.start()] + text[virtual.end() :]
        place = found.start() if virtual else end
    return text


def _closing(text: str, start: int) -> int:
    """The position after the bracket that closes the one just before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    return len(text)


def _parsed(text: str) -> list[dict[str, Any]] | None:
    try:
        found: list[dict[str, Any]] = pgparse.parse(text)
    except pgparse.PGQueryError:
        return None
    return found


def _part(data: bytes, statement: Node) -> str:
    start = statement.get("stmt_location", 0)
    length = statement.get("stmt_len") or len(data) - start
    return data[start : start + length].decode(errors="replace").strip()


# --- DO blocks -----------------------------------------------------------------------------------


def block(node: Node) -> list[Node] | None:
    """The statements of a DO statement as data; None if it is no PL/pgSQL."""
    given = {each["DefElem"]["defname"]: each["DefElem"].get("arg") for each in node["args"]}
    source = (given.get("as") or {}).get("String", {}).get("sval", "")
    language = (given.get("language") or {}).get("String", {}).get("sval", "plpgsql")
    return _body(source) if language == "plpgsql" else None


def _body(source: str) -> list[Node] | None:
    """The statements of a PL/pgSQL block as data; None if it is none."""
    tag = "$zanith$"
    if tag in source:
        return None
    function = f"CREATE FUNCTION f() RETURNS void AS {tag}{source}{tag} LANGUAGE plpgsql"
    try:
        return [*pgparse.parse_pgsql(function)]
    except (pgparse.PGQueryError, ValueError):
        return None


def queries(tree: list[Node]) -> Iterator[str | None]:
    """The SQL of a block. A condition is a query of its own. The SQL of an EXECUTE is known only if
    it is one string constant: otherwise there is the query for its text, and None for itself."""
    dynamic = set()
    for name, inner in walk(tree):
        key = _DYNAMIC.get(name, "")
        if key in inner:
            text = inner[key]["PLpgSQL_expr"]["query"]
            dynamic.add(text)
            yield from _executed(text)
        elif name == "PLpgSQL_expr" and inner.get("query") not in dynamic:
            yield _query(inner)


_DYNAMIC = {
    "PLpgSQL_stmt_dynexecute": "query",
    "PLpgSQL_stmt_dynfors": "query",
    "PLpgSQL_stmt_open": "dynquery",
}
"""Statements that run a text, and the key of its expression."""


def _executed(expression: str) -> Iterator[str | None]:
    if known := _literal(expression):
        yield known
    else:
        yield f"SELECT {expression}"
        yield None


def _query(expression: Node) -> str:
    """The query of an expression: itself, or for an assignment its value."""
    text, mode = str(expression.get("query", "")), expression.get("parseMode", 0)
    if mode == 0:
        return text
    value = _ASSIGNED.sub("", text, count=1) if mode >= _ASSIGNS else text
    return f"SELECT {value}"


_ASSIGNS = 3
"""RAW_PARSE_PLPGSQL_ASSIGN1 of PostgreSQL's parser.h, and the modes after it."""

_ASSIGNED = re.compile(r'^(?:"[^"]*"|[^"=:]|::)*?:?=')


def _literal(expression: str) -> str:
    """The text of a string constant, "" of anything else."""
    found = parse(f"SELECT {expression}")
    if not found:
        return ""
    targets = found[0][1].get("SelectStmt", {}).get("targetList", [])
    constant = targets[0].get("ResTarget", {}).get("val", {}) if len(targets) == 1 else {}
    return str(constant.get("A_Const", {}).get("sval", {}).get("sval", ""))


def commits(tree: list[Node]) -> bool:
    """Does a block end the transaction that it runs in?"""
    return any(name in ("PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback") for name, _ in walk(tree))


# --- names ---------------------------------------------------------------------------------------


def strings(items: Any) -> list[str]:
    """["a", "b"] of a list of name nodes, or of a node that holds one."""
    if isinstance(items, dict):
        inner = items.get("List", items).get("items")
        if inner is None and "String" in items:
            return [items["String"].get("sval", "")]
        if inner is None and "TypeName" in items:
            inner = items["TypeName"].get("names", ())
        items = inner or ()
    return [each["String"].get("sval", "") for each in items or () if "String" in each]


def qualified(items: Any) -> tuple[str, str]:
    """(schema, name) of a list of name nodes."""
    parts = strings(items)
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")


def kind(node: Node) -> tuple[str, Node]:
    """(type of the node, its data): ("AlterTableStmt", {…})."""
    ((name, inner),) = node.items()
    return name, inner


def walk(node: Any) -> Iterator[tuple[str, Node]]:
    """Every node inside of this one, with its type."""
    if isinstance(node, list):
        for each in node:
            yield from walk(each)
    elif isinstance(node, dict):
        for name, inner in node.items():
            if isinstance(inner, dict):
                yield name, inner
            if isinstance(inner, dict | list):
                yield from walk(inner)


def functions(node: Any) -> set[str]:
    """The names of the functions that it calls, with the schema if the text has one."""
    called = (inner for name, inner in walk(node) if name == "FuncCall")
    names = (strings(inner.get("funcname")) for inner in called)
    return {".".join(n for n in name if n != "pg_catalog").lower() for name in names}


def columns(node: Any) -> tuple[str, ...]:
    """The columns that an expression names."""
    named = (strings(inner.get("fields")) for name, inner in walk(node) if name == "ColumnRef")
    return tuple(sorted({name[-1] for name in named if name}))


def integer(node: Any) -> int | None:
    constant = node.get("A_Const", {}) if isinstance(node, dict) else {}
    if "ival" in constant:
        return int(constant["ival"].get("ival", 0))
    return None


# --- types ---------------------------------------------------------------------------------------

_PRINTED = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "varchar": "character varying",
    "bpchar": "character",
    "varbit": "bit varying",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}
SERIALS = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}
_ZONED = ("timestamp", "time")


def type_name(node: Node) -> str:
    """A type as PostgreSQL prints it: "character varying(10)[]"."""
    names = [name for name in strings(node.get("names")) if name != "pg_catalog"]
    base = ".".join(names)
    printed = _PRINTED.get(base, SERIALS.get(base, base))
    sizes = [size for each in node.get("typmods", ()) if (size := integer(each)) is not None]
    if base == "bpchar" and not sizes and not node.get("typmods"):
        printed = "bpchar"
    if sizes and base != "interval":
        spelled = f"({','.join(map(str, sizes))})"
        head, _, rest = printed.partition(" ")
        zoned = head in _ZONED and rest
        printed = f"{head}{spelled} {rest}" if zoned else f"{printed}{spelled}"
    elif sizes and len(sizes) > 1:
        printed = f"{printed}({sizes[1]})"
    return printed + "[]" * len(node.get("arrayBounds", ()))


def is_serial(node: Node) -> bool:
    return (strings(node.get("names")) or [""])[-1] in SERIALS
