"""The marks that the ledger stores inside a text: written and read only here.

The columns of the five tables are a contract, so a fact without a column of its own goes into the
`error` or the `sql` of a step, or into the id of a checkpoint.
"""

from __future__ import annotations

from typing import Final

from zanith_django.ledger.step_rows import split_step_id, step_id

# --- the error of a step -------------------------------------------------------------------------

_REFUSED: Final = "refused — "
# For a database whose encoding has no such dash.
_REFUSED_PLAIN: Final = "refused - "


def refusal(why: str, *, plain: bool = False) -> str:
    """The error of a step that a gate refused; with `plain`, in ASCII."""
    return f"{_REFUSED_PLAIN if plain else _REFUSED}{why}"


def is_refusal(error: str | None) -> bool:
    return (error or "").startswith((_REFUSED, _REFUSED_PLAIN))


# --- the SQL of a step ---------------------------------------------------------------------------

UNDONE_BY: Final = "-- rolled back by:\n"
_DJANGO: Final = "-- Django: "


def undo(ran: str) -> str:
    """The SQL of an attempt that undid a step."""
    return f"{UNDONE_BY}{ran}"


def with_operation(ran: str, description: str) -> str:
    """The SQL of an operation of a Django migration, with the description of the operation: its
    file may be edited before the migration is finished."""
    return f"{ran}\n{_operation(description)}".lstrip()


def is_of_another(ran: str, description: str | None) -> bool:
    """Does the SQL name another operation than this one? `description` is None if this one no
    longer exists."""
    last = (ran.splitlines() or [""])[-1]
    if not last.startswith(_DJANGO):
        return False
    return description is None or last != _operation(description)


def _operation(description: str) -> str:
    return f"{_DJANGO}{description}"


# --- the id of a checkpoint ----------------------------------------------------------------------

BACKWARDS: Final = "undo:"
"""The beginning of the id of a checkpoint that a rollback writes; the id of its step's row
follows."""

VALUE: Final = "#value"
"""The end of the id of a checkpoint that has a value and no progress."""


def every(row_id: str) -> str:
    """The common prefix of the checkpoints of a step, which all of its attempts share."""
    migration_id, step, _ = split_step_id(row_id)
    return f"{step_id(migration_id, step)}#"


def progress(row_id: str, number: int) -> str:
    """The id of the checkpoint of a backfill; `number` counts the backfills of its step."""
    return f"{every(row_id)}{number}"


def value_at(place: str) -> str:
    """The id of the checkpoint of a value that a step computed once for all rows."""
    return f"{place}{VALUE}"


def place_of(checkpoint_id: str) -> str:
    """The step of a checkpoint of progress or of a value, without its attempt."""
    return checkpoint_id.partition("#")[0]


def step_of(checkpoint_id: str) -> int:
    return split_step_id(place_of(checkpoint_id))[1]
