"""The formats of a plan, by the names that `zanith_plan --format` takes. A new one is a module of
this folder and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zanith_django.render.data import plan_data
from zanith_django.render.github import plan_annotations
from zanith_django.render.markdown import plan_markdown
from zanith_django.render.report import PlanReport
from zanith_django.render.sarif import plan_sarif
from zanith_django.render.script import plan_sql
from zanith_django.render.text import plan_text


@dataclass(frozen=True, slots=True)
class Format:
    """`render` gives lines, or data to be written as JSON. An `exact` format keeps control
    characters; others spell them out on a terminal. A format with `places` shows line numbers of
    migration files, which are read for that."""

    render: Callable[[PlanReport], Iterable[str] | dict[str, Any]]
    exact: bool = False
    places: bool = False


FORMATS: Mapping[str, Format] = {
    "text": Format(plan_text),
    "json": Format(plan_data),
    "sql": Format(plan_sql, exact=True),
    "github": Format(plan_annotations, places=True),
    "sarif": Format(plan_sarif, places=True),
    "markdown": Format(plan_markdown),
}
