"""What is expected of one project: blocks of lines, each with its reason and a query as proof."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "expected"

_KEYS = ("because", "django", "proof", "answer")
_KEY_LINE = re.compile(rf"\s+({'|'.join(_KEYS)})\s+(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that have one reason, and how the database shows that it holds.

    `django` are changes that `makemigrations` sees too, `answer` the rows of `proof`, with ` | `
    between columns.
    """

    lines: tuple[str, ...]
    because: str
    django: tuple[str, ...]
    proof: str
    answer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected file: which project, under which environment, and its blocks."""

    name: str
    project: str
    environment: dict[str, str] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()

    @property
    def lines(self) -> set[str]:
        return {line for block in self.blocks for line in block.lines}

    @property
    def django(self) -> set[str]:
        return {line for block in self.blocks for line in block.django}


def names() -> list[str]:
    """Every project that has an expected file."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def load(name: str) -> Expected:
    """Raises `ValueError` for a file that cannot be read, naming the block."""
    head, *paragraphs = _paragraphs((FOLDER / f"{name}.txt").read_text())
    words = [line.split(maxsplit=1) for line in head]
    (project,) = [value for word, value in words if word == "project"]
    environment = dict(value.split("=", 1) for word, value in words if word == "environment")
    for word, value in words:
        if word == "include":
            paragraphs += _paragraphs((FOLDER / value).read_text())
    blocks = tuple(_block(name, paragraph) for paragraph in paragraphs)
    return Expected(name, project, environment, blocks)


def _paragraphs(text: str) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []


def _block(name: str, paragraph: list[str]) -> Block:
    lines = [line for line in paragraph if not line[0].isspace()]
    values: dict[str, list[str]] = {key: [] for key in _KEYS}
    key = ""
    for line in paragraph[len(lines) :]:
        if match := _KEY_LINE.fullmatch(line):
            key = match[1]
            values[key].append(match[2])
        elif key:
            values[key][-1] += " " + line.strip()
    missing = [key for key in _KEYS if key != "django" and not values[key]]
    if missing:
        raise ValueError(f"{name}: no {', '.join(missing)} after {paragraph[0]!r}")
    return Block(
        tuple(lines),
        " ".join(values["because"]),
        tuple(values["django"]),
        " ".join(values["proof"]),
        tuple(values["answer"]),
    )
