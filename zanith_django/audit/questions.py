"""The questions that the ledger answers, each one query over its tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _

from zanith_django.exceptions import InvalidArgument
from zanith_django.exceptions.arguments import did_you_mean
from zanith_django.ledger.ledger import Ledger
from zanith_django.postgres import sql


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the name that users type. `chart` names the columns of a bar chart: the label
    and the value. A `costly` question reads all snapshots."""

    name: str
    title: Any
    sql: str
    chart: tuple[str, str] | None = None
    costly: bool = False

    @property
    def text(self) -> str:
        """The query with its title as a comment, ready to paste."""
        return f"-- {self.title}\n{self.sql}\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows that a question found."""

    question: Question
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def bars(self) -> tuple[tuple[str, float], ...]:
        """(label, value) of the chart; empty for a question without one."""
        if self.question.chart is None or not self.rows:
            return ()
        label, value = (self.columns.index(name) for name in self.question.chart)
        return tuple((str(row[label]), _length(row[value])) for row in self.rows)


def _length(value: Any) -> float:
    """The length of a bar; 0 for an infinite time."""
    found = float(value or 0)
    return found if math.isfinite(found) else 0.0


QUESTIONS = (
    Question(
        "broken",
        _("What broke this week?"),
        """\
SELECT migration_id, operation_kind, error, finished_at
FROM _zanith_migration_steps
WHERE status = 'failed'
  AND finished_at > now() - interval '7 days'
ORDER BY finished_at DESC;""",
    ),
    Question(
        "slowest",
        _("Which kinds of operations are slowest?"),
        """\
SELECT operation_kind,
       round(avg(extract(epoch FROM finished_at - started_at) * 1000)) AS avg_ms,
       count(*) AS runs
FROM _zanith_migration_steps
WHERE status = 'done'
GROUP BY operation_kind
ORDER BY avg_ms DESC
LIMIT 10;""",
        ("operation_kind", "avg_ms"),
    ),
    Question(
        "recoverable",
        _("What is still recoverable?"),
        """\
SELECT id, artifact_type, source_table, row_count, created_at
FROM _zanith_migration_artifacts
WHERE expires_at IS NULL
ORDER BY created_at DESC;""",
        ("id", "row_count"),
    ),
    Question(
        "latest",
        _("Which migrations ran last, and how risky were they?"),
        """\
SELECT m.id, m.applied_at, max(s.risk_score) AS worst_score, count(s.id) AS steps
FROM (SELECT id, applied_at FROM _zanith_migrations ORDER BY applied_at DESC LIMIT 10) AS m
LEFT JOIN _zanith_migration_steps AS s ON s.migration_id = m.id AND s.status = 'done'
GROUP BY m.id, m.applied_at
ORDER BY m.applied_at DESC;""",
        ("id", "worst_score"),
    ),
    Question(
        "risk",
        _("What is the risk profile of each migration?"),
        """\
SELECT migration_id,
       count(*) FILTER (WHERE risk_level = 'safe') AS safe,
       count(*) FILTER (WHERE risk_level = 'low') AS low,
       count(*) FILTER (WHERE risk_level = 'medium') AS medium,
       count(*) FILTER (WHERE risk_level = 'high') AS high,
       count(*) FILTER (WHERE risk_level = 'destructive') AS destructive,
       sum(risk_score) AS total_score
FROM _zanith_migration_steps
WHERE status IN ('done', 'pending', 'running', 'failed')
GROUP BY migration_id
ORDER BY total_score DESC
LIMIT 20;""",
        ("migration_id", "total_score"),
    ),
    Question(
        "slow",
        _("Which migrations of the last week took longer than 30 seconds?"),
        """\
SELECT migration_id,
       round(sum(extract(epoch FROM finished_at - started_at)), 1) AS seconds,
       count(*) AS steps
FROM _zanith_migration_steps
WHERE status = 'done'
  AND finished_at > now() - interval '7 days'
GROUP BY migration_id
HAVING sum(extract(epoch FROM finished_at - started_at)) > 30
ORDER BY seconds DESC;""",
        ("migration_id", "seconds"),
    ),
    Question(
        "unfinished",
        _("Which migrations stopped half way?"),
        """\
SELECT s.migration_id,
       count(*) FILTER (WHERE s.status = 'done') AS done,
       count(*) FILTER (WHERE s.status = 'failed') AS failed,
       count(*) FILTER (WHERE s.status = 'pending') AS pending,
       max(coalesce(s.finished_at, s.started_at)) AS last_activity
FROM _zanith_migration_steps AS s
WHERE NOT EXISTS (SELECT FROM _zanith_migrations AS m WHERE m.id = s.migration_id)
GROUP BY s.migration_id
HAVING count(*) FILTER (WHERE s.status IN ('running', 'failed', 'pending')) > 0
   AND count(*) FILTER (WHERE s.status = 'rolled_back') = 0
ORDER BY last_activity DESC NULLS LAST
LIMIT 20;""",
    ),
    Question(
        "rolled-back",
        _("What was rolled back?"),
        """\
SELECT migration_id, count(*) AS steps, max(finished_at) AS rolled_back_at
FROM _zanith_migration_steps
WHERE status = 'rolled_back'
GROUP BY migration_id
ORDER BY rolled_back_at DESC NULLS LAST
LIMIT 20;""",
    ),
    Question(
        "who",
        _("Who ran migrations, and how many?"),
        """\
SELECT coalesce(nullif(graph #>> '{run,user}', ''), 'unknown') AS who,
       count(*) AS migrations, max(captured_at) AS last_run
FROM _zanith_schema_snapshots
WHERE starts_with(phase, 'after')
GROUP BY who
ORDER BY migrations DESC
LIMIT 20;""",
        ("who", "migrations"),
        costly=True,
    ),
    Question(
        "retried",
        _("Which steps needed several attempts?"),
        """\
SELECT migration_id, substring(id FROM '::([0-9]+)') AS step, operation_kind,
       max(substring(id FROM '[0-9]+$')::int) AS attempts, max(error) AS last_error
FROM _zanith_migration_steps
WHERE strpos(substr(id, length(migration_id) + 3), '.') > 0 AND id ~ '::[0-9]+[.][0-9]+$'
GROUP BY migration_id, step, operation_kind
ORDER BY attempts DESC
LIMIT 20;""",
        ("migration_id", "attempts"),
    ),
    Question(
        "backfills",
        _("How far are the backfills?"),
        """\
SELECT id, processed_rows, total_rows, status, updated_at
FROM _zanith_migration_checkpoints
WHERE total_rows IS NOT NULL AND strpos(id, '::') > 0
ORDER BY updated_at DESC
LIMIT 20;""",
        ("id", "processed_rows"),
    ),
    Question(
        "destructive",
        _("What was dropped in the last 90 days?"),
        """\
SELECT migration_id, operation_kind, status, finished_at
FROM _zanith_migration_steps
WHERE risk_level = 'destructive'
  AND finished_at > now() - interval '90 days'
ORDER BY finished_at DESC
LIMIT 20;""",
    ),
)


def question(name: str) -> Question:
    """The question of that name. Raises `InvalidArgument`."""
    known = {each.name: each for each in QUESTIONS}
    if name not in known:
        raise InvalidArgument(
            f"There is no question {name!r}.",
            f"{did_you_mean(name, known)}Run zanith_ask --list to see all of them.",
        )
    return known[name]


def ask(connection: BaseDatabaseWrapper, asked: Question) -> Answer:
    """The rows of one question, or none from a database without a ledger."""
    (answer,) = ask_all(connection, (asked,))
    if answer.rows or not Ledger(connection).exists():
        return answer
    return Answer(asked, _columns(connection, asked), ())


def is_time(column: str) -> bool:
    """A column of an answer has times, by its name."""
    return column.endswith("_at") or column.startswith("last_")


def readable(value: Any) -> Any:
    """The time that PostgreSQL printed; the text itself if Python cannot hold it."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value


def ask_all(
    connection: BaseDatabaseWrapper, asked: Sequence[Question], *, known: bool = False
) -> list[Answer]:
    """The answers to several questions, in one query. PostgreSQL prints the values as JSON, because
    Python cannot hold all times. With `known`, the tables exist."""
    if not known and not Ledger(connection).exists():
        return [Answer(each, (), ()) for each in asked]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(map(_in_json, asked)))
        found = {name: json.loads(rows) for name, rows in cursor.fetchall()}
    return [_answer(each, found[each.name]) for each in asked]


def _in_json(asked: Question) -> str:
    query = sql.catalog_text(asked.sql.rstrip(";"))
    template = (
        "SELECT {name}::text, (SELECT coalesce(json_agg(row_to_json(answer)), '[]') "
        "FROM ({query}) AS answer)::text"
    )
    return sql.compose(template, name=sql.literal(asked.name), query=query)


def _answer(asked: Question, rows: Sequence[Mapping[str, Any]]) -> Answer:
    columns = tuple(rows[0]) if rows else ()
    return Answer(asked, columns, tuple(tuple(row.values()) for row in rows))


def _columns(connection: BaseDatabaseWrapper, asked: Question) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(asked.sql)
        return tuple(column.name for column in cursor.description or ())
