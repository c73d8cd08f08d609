"""What is expected of one project: blocks of lines, each with its reason and a query as proof."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "expected"

_KEYS = ("because", "django", "proof", "answer")
_KEY_LINE = re.compile(rf"\s+({'|'.join(_KEYS)})\s+(.*)")


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
    text = (FOLDER / f"{name}.txt").read_text()
    project, environment, blocks = name, {}, []
    for paragraph in _paragraphs(text.splitlines()):
        if paragraph[0].startswith("project "):
            project = paragraph[0].split()[1]
            settings = (line.split(maxsplit=1)[1] for line in paragraph[1:])
            environment = dict(setting.split("=", 1) for setting in settings)
        else:
            blocks.append(_block(name, paragraph))
    return Expected(name, project, environment, tuple(blocks))


def _paragraphs(lines: Iterable[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in [*lines, ""]:
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
        if match := _KEY_LINE.match(line):
            key = match[1]
            values[key].append(match[2].strip())
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
