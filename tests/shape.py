"""`python -m tests.shape`: how the package is built, in one table.

Counts modules, lengths, imports, copies and words; exit 1 when one of them exceeds its limit.
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import grimp

from tests.project import REPOSITORY

PACKAGE = "zanith_django"
ROOT = REPOSITORY / PACKAGE

MODULE_LINES = 450
FUNCTION_LINES = 40
BLOCK_LINES = 6
LISTED = 5

# Words that the field does not use in these senses. Of a thousand words in comments and docstrings,
# Django's own migrations have at most a quarter of one.
DIALECT = {
    "tell, tells, told": r"tells?|told",
    "stand, stands, stood": r"stands?|stood",
    "behind": r"behind",
    "somebody, nobody …": r"(?:some|no|any|every)body",
    "anew": r"anew",
    "mend, mends, mended": r"mend(?:s|ed|ing)?",
}
DIALECT_LIMIT = 0.25

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was counted, and how much of it is allowed."""

    subject: str
    found: float
    limit: float | None = None
    examples: tuple[str, ...] = ()

    @property
    def exceeded(self) -> bool:
        return self.limit is not None and self.found > self.limit

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"≤ {self.limit:g}"
        mark = "✗" if self.exceeded else " "
        examples = ", ".join(self.examples[:LISTED])
        more = f" and {len(self.examples) - LISTED} more" if len(self.examples) > LISTED else ""
        return f"{mark} {self.subject:<38}{self.found:>8.4g}  {limit:<7} {examples}{more}".rstrip()


@dataclass(frozen=True, slots=True)
class Source:
    """A module: its path within the package, its lines and its syntax tree."""

    name: str
    path: Path
    lines: tuple[str, ...]
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> Source:
        text = path.read_text()
        name = str(path.relative_to(ROOT))
        return cls(name, path, tuple(text.splitlines()), ast.parse(text))


def rows(sources: list[Source]) -> Iterator[Row]:
    yield top_level(sources)
    yield long_modules(sources)
    yield long_functions(sources)
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    yield cycles(graph)
    yield fan_out(graph)
    yield tests_of_kinds(sources)
    yield repeated_blocks(sources)
    yield from dialect(sources)


# --- modules and functions -----------------------------------------------------------------------


def top_level(sources: list[Source]) -> Row:
    names = [s.name for s in sources if "/" not in s.name and s.name != "__init__.py"]
    return Row("modules at the top level", len(names), 12, tuple(names))


def long_modules(sources: list[Source]) -> Row:
    long = sorted((s for s in sources if len(s.lines) > MODULE_LINES), key=lambda s: -len(s.lines))
    examples = tuple(f"{s.name} {len(s.lines)}" for s in long)
    return Row(f"modules over {MODULE_LINES} lines", len(long), 0, examples)


def long_functions(sources: list[Source]) -> Row:
    lengths = [
        (node.end_lineno - node.lineno + 1, f"{source.name}:{node.name}")
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, Function) and node.end_lineno
    ]
    long = sorted((each for each in lengths if each[0] > FUNCTION_LINES), reverse=True)
    examples = tuple(f"{name} {length}" for length, name in long)
    share = 100 * len(long) / max(1, len(lengths))
    return Row(f"% of functions over {FUNCTION_LINES} lines", share, 1, examples)


# --- imports -------------------------------------------------------------------------------------


def cycles(graph: grimp.ImportGraph) -> Row:
    """Groups of modules each of which imports, at last, itself."""
    found = set()
    for module in graph.modules:
        around = graph.find_downstream_modules(module) & graph.find_upstream_modules(module)
        if around:
            found.add(frozenset({module, *around}))
    examples = tuple(f"{_short(min(group))} and {len(group) - 1} more" for group in found)
    return Row("import cycles", len(found), 0, tuple(sorted(examples)))


def fan_out(graph: grimp.ImportGraph) -> Row:
    """How many modules of the package the module with the most of them imports."""
    counts = {m: len(graph.find_modules_directly_imported_by(m)) for m in graph.modules}
    most = sorted(counts, key=lambda module: (-counts[module], module))
    examples = tuple(f"{_short(module)} {counts[module]}" for module in most[:LISTED])
    return Row("largest fan-out", counts[most[0]], None, examples)


def _short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


# --- operations ----------------------------------------------------------------------------------


def tests_of_kinds(sources: list[Source]) -> Row:
    """Places outside of `operations/` that test the class of an operation: they should ask it."""
    inside = [source for source in sources if source.name.startswith("operations/")]
    kinds = {name for source in inside for name in _kinds(source)}
    examples = tuple(
        f"{source.name}:{node.lineno}"
        for source in sources
        if source not in inside
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and _tests_class(node, kinds & _imported(source), kinds)
    )
    return Row("isinstance of a kind of operation", len(examples), 0, examples)


def _kinds(source: Source) -> Iterator[str]:
    """The classes that set `kind`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            values = [each for each in node.body if isinstance(each, ast.Assign)]
            if any(getattr(target, "id", "") == "kind" for v in values for target in v.targets):
                yield node.name


def _imported(source: Source) -> set[str]:
    """The names that a module takes from our operations."""
    imports = [node for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").startswith(f"{PACKAGE}.operations")]
    return {alias.name for node in ours for alias in node.names}


def _tests_class(call: ast.Call, imported: set[str], kinds: set[str]) -> bool:
    if getattr(call.func, "id", "") not in ("isinstance", "issubclass"):
        return False
    nodes = list(ast.walk(call.args[1]))
    qualified = {n.attr for n in nodes if isinstance(n, ast.Attribute) and _is_ops(n.value)}
    names = {n.id for n in nodes if isinstance(n, ast.Name)}
    return bool(names & imported or qualified & kinds)


def _is_ops(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "ops"


# --- copies --------------------------------------------------------------------------------------


def repeated_blocks(sources: list[Source]) -> Row:
    """Runs of lines that occur more than once. A longer run counts once: only its first window,
    the one that follows no other repeated window."""
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    sequences = []
    for source in sources:
        code = list(_code(source))
        windows = [tuple(line for _, line in code[n : n + BLOCK_LINES]) for n in range(len(code))]
        sequences.append([each for each in windows if len(each) == BLOCK_LINES])
        for (number, _), window in zip(code, sequences[-1], strict=False):
            places[window].append(f"{source.name}:{number}")
    repeated = {window: found for window, found in places.items() if len(found) > 1}
    beginnings = {
        window: repeated[window]
        for sequence in sequences
        for before, window in pairwise([(), *sequence])
        if window in repeated and before not in repeated
    }
    examples = tuple(" = ".join(found) for found in beginnings.values())
    return Row(f"repeated blocks of {BLOCK_LINES} or more lines", len(beginnings), None, examples)


def _code(source: Source) -> Iterator[tuple[int, str]]:
    """Numbered lines without indentation: no imports, no docstrings, nothing without a word."""
    passed: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, Documented) and ast.get_docstring(node):
            passed.update(_lines(node.body[0]))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            passed.update(_lines(node))
    for number, line in enumerate(source.lines, 1):
        if number not in passed and re.search(r"\w", line) and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


# --- words ---------------------------------------------------------------------------------------


def dialect(sources: list[Source]) -> Iterator[Row]:
    """Words of the dialect in comments and docstrings, per thousand words of them."""
    words: Counter[str] = Counter()
    for source in sources:
        for text in _prose(source):
            words.update(re.findall(r"[a-z]+", text.lower()))
    total = sum(words.values())
    for label, pattern in DIALECT.items():
        count = sum(n for word, n in words.items() if re.fullmatch(pattern, word))
        examples = (f"{count} of {total} words",) if count else ()
        yield Row(f"‰ {label}", 1000 * count / max(1, total), DIALECT_LIMIT, examples)


def _prose(source: Source) -> Iterator[str]:
    with source.path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string
    for node in ast.walk(source.tree):
        if isinstance(node, Documented):
            yield ast.get_docstring(node) or ""


def main() -> int:
    sources = [Source.read(path) for path in sorted(ROOT.rglob("*.py"))]
    table = list(rows(sources))
    print(*table, sep="\n")
    return 1 if any(row.exceeded for row in table) else 0


if __name__ == "__main__":
    sys.exit(main())
