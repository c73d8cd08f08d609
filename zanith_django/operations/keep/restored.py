"""The comment on a column that zanith_recover restored, until a model has it again."""

from __future__ import annotations

from zanith_django.schema.graph import Column

_RESTORED = "Restored by zanith"


def restored_comment(*, required: bool) -> str:
    """The comment, which also records whether the column was NOT NULL."""
    note = "; NOT NULL waits until a model has it" if required else ""
    return f"{_RESTORED}{note}."


def is_restored(column: Column | None) -> bool:
    """Was the column restored, and has no migration added it since?"""
    return column is not None and column.comment.startswith(_RESTORED)
