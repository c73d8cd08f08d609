"""On which line of a migration file each operation is written, by the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile


@dataclass(frozen=True, slots=True)
class Lines:
    """The line of the class, and those of operations that are written one by one. Operations after
    a call or a `*name` have the line at which the operations begin."""

    start: int = 1
    operations: tuple[int, ...] = ()

    def of(self, number: int) -> int:
        """The line of the operation of that number, from 1 on; 0 is the whole migration."""
        return self.operations[number - 1] if 0 < number <= len(self.operations) else self.start


def lines_of(text: bytes) -> Lines:
    """The lines of the class `Migration`, ours or Django's. Raises `SyntaxError`."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            return _lines(node)
    return Lines()


def _lines(declared: ast.ClassDef) -> Lines:
    for node in declared.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and "operations" in _targets(node):
            known = takewhile(lambda each: each is not None, _items(node.value))
            return Lines(node.lineno, tuple(each.lineno for each in known if each))
    return Lines(declared.lineno)


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _items(node: ast.expr | None) -> Iterator[ast.expr | None]:
    """The items of a list, a tuple or a sum of them; None for items that only exist when the file
    runs."""
    if isinstance(node, ast.List | ast.Tuple):
        yield from (None if isinstance(each, ast.Starred) else each for each in node.elts)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _items(node.left)
        yield from _items(node.right)
    else:
        yield None
