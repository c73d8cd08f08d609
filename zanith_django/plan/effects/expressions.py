"""Expressions of a parse tree as SQL text, so that preflight can ask for rows that violate them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zanith_django.postgres import sql
from zanith_django.postgres.grammar import Node, kind, strings, type_name


class Unknown(Exception):
    """A form of expression that is not spelled here."""


def spelled(node: Node | None) -> str:
    """The text of an expression in parentheses where needed, "" of a form that is not known."""
    try:
        return _text(node) if node else ""
    except (Unknown, LookupError, ValueError, TypeError):
        return ""


def _text(node: Node) -> str:
    name, inner = kind(node)
    if name not in _FORMS:
        raise Unknown(name)
    return _FORMS[name](inner)


def _inner(node: Node) -> str:
    return f"({_text(node)})"


def _listed(nodes: Iterable[Node]) -> str:
    return ", ".join(map(_text, nodes))


def _column(node: Node) -> str:
    names = strings(node["fields"])
    if len(names) != len(node["fields"]):
        raise Unknown("*")
    return str(sql.ident(names[-1]))  # without the table, which has another name where it is asked


def _constant(node: Node) -> str:
    if node.get("isnull"):
        return "NULL"
    if "boolval" in node:
        return str(sql.literal(bool(node["boolval"].get("boolval"))))
    if "ival" in node:
        return str(node["ival"].get("ival", 0))
    if "fval" in node:
        return str(node["fval"]["fval"])
    return str(sql.literal(node["sval"].get("sval", "")))


def _operation(node: Node) -> str:
    form, name = node["kind"].removeprefix("AEXPR_"), strings(node["name"])
    right = node["rexpr"]
    if len(name) != 1:
        raise Unknown("OPERATOR()")
    if form in ("OP", "LIKE", "ILIKE", "SIMILAR"):
        left = _inner(node["lexpr"]) if "lexpr" in node else ""
        return f"{left} {name[0]} {_inner(right)}".strip()
    left = _inner(node["lexpr"])
    if form == "IN":
        word = "IN" if name[0] == "=" else "NOT IN"
        return f"{left} {word} ({_listed(right['List']['items'])})"
    if form in ("BETWEEN", "NOT_BETWEEN", "BETWEEN_SYM", "NOT_BETWEEN_SYM"):
        low, high = right["List"]["items"]
        return f"{left} {name[0]} {_inner(low)} AND {_inner(high)}"
    if form in ("DISTINCT", "NOT_DISTINCT"):
        word = "IS DISTINCT FROM" if form == "DISTINCT" else "IS NOT DISTINCT FROM"
        return f"{left} {word} {_inner(right)}"
    if form in ("OP_ANY", "OP_ALL"):
        return f"{left} {name[0]} {form.removeprefix('OP_')} ({_text(right)})"
    raise Unknown(form)


def _logic(node: Node) -> str:
    word = node["boolop"].removesuffix("_EXPR")
    parts = [_inner(each) for each in node["args"]]
    return f"NOT {parts[0]}" if word == "NOT" else f" {word} ".join(parts)


def _null_test(node: Node) -> str:
    word = "IS NOT NULL" if node["nulltesttype"] == "IS_NOT_NULL" else "IS NULL"
    arg = node["arg"]
    return f"{_text(arg) if 'ColumnRef' in arg else _inner(arg)} {word}"


def _truth(node: Node) -> str:
    return f"{_inner(node['arg'])} {node['booltesttype'].replace('_', ' ')}"


def _cast(node: Node) -> str:
    return f"{_inner(node['arg'])}::{type_name(node['typeName'])}"


def _call(node: Node) -> str:
    if any(key in node for key in ("agg_order", "agg_filter", "over", "agg_star", "agg_distinct")):
        raise Unknown("aggregate")
    name = ".".join(str(sql.ident(part)) for part in strings(node["funcname"]))
    return f"{name}({_listed(node.get('args', ()))})"


def _case(node: Node) -> str:
    if "arg" in node:
        raise Unknown("CASE x")
    whens = (each["CaseWhen"] for each in node["args"])
    parts = [f"WHEN {_text(each['expr'])} THEN {_text(each['result'])}" for each in whens]
    other = f" ELSE {_text(node['defresult'])}" if "defresult" in node else ""
    return f"CASE {' '.join(parts)}{other} END"


def _collated(node: Node) -> str:
    name = ".".join(str(sql.ident(part)) for part in strings(node["collname"]))
    return f"{_inner(node['arg'])} COLLATE {name}"


_FORMS: dict[str, Callable[[Node], str]] = {
    "ColumnRef": _column,
    "A_Const": _constant,
    "A_Expr": _operation,
    "BoolExpr": _logic,
    "NullTest": _null_test,
    "BooleanTest": _truth,
    "TypeCast": _cast,
    "FuncCall": _call,
    "CaseExpr": _case,
    "CollateClause": _collated,
    "CoalesceExpr": lambda node: f"COALESCE({_listed(node['args'])})",
    "MinMaxExpr": lambda node: f"{node['op'].removeprefix('IS_')}({_listed(node['args'])})",
    "A_ArrayExpr": lambda node: f"ARRAY[{_listed(node.get('elements', ()))}]",
    "SQLValueFunction": lambda node: str(node["op"].removeprefix("SVFOP_")),
}
