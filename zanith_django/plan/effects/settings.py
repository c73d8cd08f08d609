"""Settings of the session, which decide what later statements mean or do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zanith_django.plan.effects.values import Notes
from zanith_django.postgres.grammar import Node, kind, strings, walk

_UNSAFE = frozenset(
    (
        *("session_replication_role", "role", "session_authorization"),
        *("allow_system_table_mods", "zero_damaged_pages"),
    )
)


def set_setting(node: Node, notes: Notes) -> None:
    if node.get("name") in _UNSAFE:
        notes.unknown()


def set_configs(node: Node, notes: Notes) -> None:
    """The calls of set_config() in a statement do what SET does."""
    for name, _ in _configs(node):
        if name is None or name in _UNSAFE:
            notes.unknown()


def search_path(node: Node) -> str:
    """The schema that a statement makes the first of the search path; "" if it sets none."""
    name, inner = kind(node)
    if name == "VariableSetStmt" and inner.get("name") == "search_path":
        given = [_text(each) for each in inner.get("args", ())]
    elif name == "SelectStmt":
        texts = [value for setting, value in _configs(inner) if setting == "search_path"]
        given = [part.strip(' "') for text in texts if text for part in text.split(",")]
    else:
        return ""
    return next((schema for schema in given if schema), "")


def _configs(node: Node) -> Iterator[tuple[str | None, str | None]]:
    """(setting, value) of each set_config(); None for what is no constant."""
    for name, inner in walk(node):
        if name == "FuncCall" and strings(inner.get("funcname"))[-1:] == ["set_config"]:
            setting = _text(inner["args"][0])
            yield setting and setting.lower(), _text(inner["args"][1])


def _text(argument: Any) -> str | None:
    text = argument.get("A_Const", {}).get("sval", {}).get("sval")
    return text if isinstance(text, str) else None
