"""Two graphs → the ordered operations that turn the first into the second."""

from __future__ import annotations

from zanith_django.diff.additions import (
    added_columns,
    new_foreign_keys,
    new_generated,
    new_parts,
    new_tables,
)
from zanith_django.diff.changes import (
    altered_columns,
    columns_made_nullable,
    deferred,
    primary_keys,
    table_settings,
    validated,
)
from zanith_django.diff.differ import SOFT, Differ, Hints, Phase
from zanith_django.diff.drops import (
    dropped_columns,
    dropped_foreign_keys,
    dropped_generated,
    dropped_parts,
    dropped_tables,
    primary_keys_in_the_way,
    replaced_foreign_keys,
    replaced_parts,
    tables_dropped_early,
)
from zanith_django.diff.ends import ended_columns, ended_tables
from zanith_django.diff.foundations import dropped_foundations, foundations
from zanith_django.diff.renames import renamed_columns, renamed_parts, renamed_tables
from zanith_django.diff.row_security import row_security_off, row_security_on
from zanith_django.operations.base import Operation
from zanith_django.schema.graph import SchemaGraph


def diff(
    before: SchemaGraph,
    after: SchemaGraph,
    hints: Hints | None = None,
    *,
    drop: str = SOFT,
    overlapping: bool = True,
) -> tuple[Operation, ...]:
    """The operations that turn `before` into `after`, in an order in which each can run. It drops
    every object of `before` that `after` lacks: restrict the graphs to owned tables first. `drop`
    is how columns and tables are dropped: "soft" (hidden with their values), "archive" or "hard".
    An `overlapping` difference builds the replacement of an index or constraint before it drops the
    old one; a difference that is only reported drops first. Triggers, tablespaces, partitioning and
    whether a table is logged are not compared.
    """
    return Differ(
        before, after, hints or Hints(), drop, overlapping=overlapping, phases=_PHASES
    ).run()


_PHASES: tuple[Phase, ...] = (
    ended_tables,
    renamed_tables,
    ended_columns,
    renamed_columns,
    foundations,
    row_security_off,
    dropped_foreign_keys,
    dropped_parts,
    primary_keys_in_the_way,
    dropped_generated,
    tables_dropped_early,
    renamed_parts,
    new_tables,
    added_columns,
    altered_columns,
    new_generated,
    primary_keys,
    columns_made_nullable,
    new_parts,
    replaced_parts,
    new_foreign_keys,
    replaced_foreign_keys,
    renamed_parts,
    deferred,
    validated,
    table_settings,
    row_security_on,
    dropped_columns,
    dropped_tables,
    dropped_foundations,
)
