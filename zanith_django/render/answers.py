"""Answers of the ledger as a table, as CSV and as JSON data."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from zanith_django.audit.questions import Answer, Question

_WIDEST = 60


def questions_text(questions: Sequence[Question]) -> Iterator[str]:
    """The name and the title of each question."""
    width = max(len(each.name) for each in questions)
    for each in questions:
        yield f"{each.name:<{width}}  {each.title}"


def answer_text(answer: Answer) -> Iterator[str]:
    """The title and a table; a long value is cut, the other formats have all of it."""
    yield str(answer.question.title)
    if not answer.rows:
        yield "  No rows."
        return
    rows = [[_short(value) for value in row] for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(answer.columns, *rows, strict=True)]
    for row in (answer.columns, ["-" * width for width in widths], *rows):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


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


def _short(value: Any) -> str:
    text = " ".join(_text(value).split())
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _text(value: Any) -> str:
    return "" if value is None else str(value)


# What a spreadsheet would take for a formula.
_FORMULA = ("=", "@", "+", "-", "\t", "\r")


def plain_cell(value: Any) -> str:
    """The value of a cell; a text that a spreadsheet would compute is quoted."""
    text = _text(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
