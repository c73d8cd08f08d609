"""Answers of the ledger as a table, as CSV and as JSON data."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TextIO

from django.utils import timezone

from zanith_django.audit.questions import Answer, Question, is_time, readable
from zanith_django.render.text import WIDTH, columns, wrapped

_NARROWEST = 24  # of a column that wraps


def questions_text(questions: Sequence[Question]) -> Iterator[str]:
    """The name and the title of each question."""
    width = max(len(each.name) for each in questions)
    for each in questions:
        yield f"{each.name:<{width}}  {each.title}"


def answer_text(answer: Answer) -> Iterator[str]:
    """The title and a table of 80 columns: its widest column wraps. What does not fit so is printed
    row by row. Times are those of the project's zone."""
    yield str(answer.question.title)
    if not answer.rows:
        yield "  No rows."
        return
    rows = [[*map(_spelled, answer.columns, row)] for row in answer.rows]
    widths = [max(map(columns, column)) for column in zip(answer.columns, *rows, strict=True)]
    place = widths.index(max(widths))
    room = WIDTH - 2 * len(widths) - (sum(widths) - widths[place])
    if room < min(_NARROWEST, widths[place]):
        yield from _records(answer.columns, rows)
        return
    widths[place] = min(widths[place], room)
    rule = ["-" * width for width in widths]
    for row in (answer.columns, rule, *rows):
        yield from _lines(row, widths, place)


def _lines(row: Sequence[str], widths: Sequence[int], place: int) -> Iterator[str]:
    """A row of the table; the cell at this place takes as many lines as it needs."""
    gap = WIDTH - widths[place]
    first, *more = [line[gap:] for line in wrapped(row[place], " " * gap)] or [""]
    cells = [first if n == place else cell for n, cell in enumerate(row)]
    spaced = (
        cell + " " * (width - columns(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    yield f"  {'  '.join(spaced)}".rstrip()
    before = 2 + sum(width + 2 for width in widths[:place])
    yield from (" " * before + line for line in more)


def _records(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Each row as lines of name and value."""
    width = max(map(len, names))
    for number, row in enumerate(rows):
        if number:
            yield ""
        for name, value in zip(names, row, strict=True):
            yield from wrapped(value, f"  {name:<{width}}  ") or [f"  {name}"]


def _spelled(column: str, value: Any) -> str:
    found = readable(value) if is_time(column) else value
    if isinstance(found, datetime) and timezone.is_aware(found):
        return f"{timezone.localtime(found):%Y-%m-%d %H:%M:%S}"
    return " ".join(_text(found).split())


def answer_csv(answer: Answer, output: TextIO) -> None:
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([plain_cell(value) for value in row] for row in answer.rows)


def answer_data(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question.name,
        "title": str(answer.question.title),
        "sql": answer.question.sql,
        "rows": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows],
    }


def _text(value: Any) -> str:
    return "" if value is None else str(value)


# Texts that a spreadsheet would compute as formulas.
_FORMULA = ("=", "@", "+", "-", "\t", "\r")


def plain_cell(value: Any) -> str:
    """The value of a cell; a text that a spreadsheet would compute is quoted."""
    text = _text(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
