"""Statements of an author's SQL, and which of them only create what tables need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zanith_django.postgres.grammar import Node, block, kind, parse, queries, walk

# Tokens that may contain a semicolon that ends no statement.
_PIECE = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<whole>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>[\w$]+)
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)

# Statements that create or change an object other than a table, and read and lock no table.
_MAKING = (
    "CreateExtensionStmt CreateEnumStmt CompositeTypeStmt CreateRangeStmt DefineStmt "
    "CreateDomainStmt CreateSeqStmt CreateFunctionStmt CreateCastStmt CreateOpClassStmt "
    "CreateOpFamilyStmt CreateConversionStmt CreateAmStmt AlterTSDictionaryStmt "
    "AlterTSConfigurationStmt AlterFunctionStmt AlterCollationStmt AlterOperatorStmt "
    "AlterOpFamilyStmt AlterEnumStmt"
)
_MAKES = frozenset(_MAKING.split())
# Objects that may be renamed, moved or given to another owner without touching a table.
_MOVES = ("RenameStmt", "AlterObjectSchemaStmt", "AlterOwnerStmt")
_MOVABLE = (
    "OBJECT_TYPE OBJECT_FUNCTION OBJECT_COLLATION OBJECT_OPERATOR OBJECT_OPCLASS OBJECT_OPFAMILY "
    "OBJECT_TSCONFIGURATION OBJECT_TSDICTIONARY OBJECT_TSPARSER OBJECT_TSTEMPLATE"
)
_MOVED = frozenset(_MOVABLE.split())
_UNKNOWN = ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors", "PLpgSQL_stmt_perform")


def statements(text: str) -> Iterator[str]:
    """The statements of a text, without comments and the semicolons between them."""
    parts: list[str] = []
    body = _Body()
    for piece in _PIECE.finditer(text):
        body.take(piece["word"])
        if piece["end"] and not body.depth:
            yield from _whole(parts)
            parts = []
        else:
            parts.append(" " if piece["comment"] else piece[0])
    yield from _whole(parts)


class _Body:
    """The body of a function from BEGIN ATOMIC to its END: `depth` is 0 outside of it. In it only
    CASE has an END too."""

    def __init__(self) -> None:
        self.depth = 0
        self._last = ""

    def take(self, word: str | None) -> None:
        if not word:
            return
        word = word.upper()
        if (self._last, word) == ("BEGIN", "ATOMIC"):
            self.depth = 1
        elif self.depth:
            self.depth += {"CASE": 1, "END": -1}.get(word, 0)
        self._last = word


def _whole(parts: list[str]) -> Iterator[str]:
    if statement := "".join(parts).strip():
        yield statement


def makes_foundation(statement: str) -> bool:
    """Does it only create what tables need (an extension, a type, a function)? Of DO blocks, only
    the plain form that guards a CREATE counts."""
    nodes = _nodes(statement)
    return bool(nodes) and all(map(_makes, nodes))


def _nodes(text: str) -> list[tuple[str, Node]]:
    return [kind(node) for _, node in parse(text) or ()]


def _makes(statement: tuple[str, Node]) -> bool:
    name, node = statement
    if name == "DoStmt":
        return _block_makes(node)
    if name == "CreateSchemaStmt":
        return "schemaElts" not in node
    if name in _MOVES:
        return bool(_MOVED & {node.get("renameType"), node.get("objectType")})
    return name in _MAKES


def _block_makes(node: Node) -> bool:
    """Does each statement of the block create an object or check whether it exists? None may be
    built from a text, or call a function for its effects."""
    tree = block(node)
    if tree is None or any(name in _UNKNOWN for name, _ in walk(tree)):
        return False
    found = [each for text in queries(tree) for each in _nodes(text or "") or [("", {})]]
    made = [each for each in found if each[0] != "SelectStmt"]
    return bool(made) and all(map(_makes, made))
