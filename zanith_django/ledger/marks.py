"""The marks that the ledger stores inside a text: written and read only here.

The columns of the five tables are a contract, so a fact without a column of its own goes into the
`error` or the `sql` of a step, or into the id of a checkpoint.
"""

from __future__ import annotations

from typing import Final

from zanith_django.ledger.step_rows import split_step_id, step_id

# --- the error of a step -------------------------------------------------------------------------

_REFUSED: Final = "refused — "
# In a database of which the encoding lacks that dash.
_REFUSED_PLAIN: Final = "refused - "


def refusal(why: str, *, plain: bool = False) -> str:
    """The error of a step that a gate refused. `plain`: in ASCII."""
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
    """What an operation of a Django migration ran, and which operation it was: its file may be
    edited while the migration is not finished."""
    return f"{ran}\n{_operation(description)}".lstrip()


def is_of_another(ran: str, description: str | None) -> bool:
    """The SQL names an operation, and it is not this one (None: it no longer exists)."""
    last = (ran.splitlines() or [""])[-1]
    if not last.startswith(_DJANGO):
        return False
    return description is None or last != _operation(description)


def _operation(description: str) -> str:
    return f"{_DJANGO}{description}"


# --- the id of a checkpoint ----------------------------------------------------------------------

BACKWARDS: Final = "undo:"
"""How the id of a step's checkpoint begins that a rollback writes; the id of its row follows."""

VALUE: Final = "#value"
"""How the id of a checkpoint ends that has a value and no progress."""


def every(row_id: str) -> str:
    """The common prefix of a step's checkpoints: they are for all of its attempts."""
    migration_id, step, _ = split_step_id(row_id)
    return f"{step_id(migration_id, step)}#"


def progress(row_id: str, number: int) -> str:
    """The checkpoint of a backfill; `number` counts those of its step."""
    return f"{every(row_id)}{number}"


def value_at(place: str) -> str:
    """The checkpoint of the value that a step made once for all rows."""
    return f"{place}{VALUE}"


def place_of(checkpoint_id: str) -> str:
    """The step that a checkpoint of progress or of a value belongs to, without attempt."""
    return checkpoint_id.partition("#")[0]


def step_of(checkpoint_id: str) -> int:
    return split_step_id(place_of(checkpoint_id))[1]
