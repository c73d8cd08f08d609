"""Reasons of changes to constraints."""

from __future__ import annotations

from zanith_django.plan.levels import Level
from zanith_django.plan.reasons.reason import Reason

REASONS = (
    Reason(
        "adds_unique_constraint",
        Level.MEDIUM,
        "Adds a unique constraint or index",
        "Existing duplicates make the step fail. From then on, inserts and updates that make a "
        "duplicate fail.",
        "Look for duplicates with zanith_plan --preflight, and deploy code that writes none first.",
        "ddl-constraints#DDL-CONSTRAINTS-UNIQUE-CONSTRAINTS",
    ),
    Reason(
        "adds_foreign_key",
        Level.MEDIUM,
        "Adds a foreign key",
        "Existing rows without a target make the step fail. Writers of both tables wait for a "
        "SHARE ROW EXCLUSIVE lock, which is brief if the key is added NOT VALID. Deletes of "
        "referenced rows are checked from then on.",
        "Look for rows without a target with zanith_plan --preflight.",
        "ddl-constraints#DDL-CONSTRAINTS-FK",
    ),
    Reason(
        "adds_check",
        Level.LOW,
        "Adds a check constraint",
        "Existing rows that violate the check make the step fail. From then on, writes that "
        "violate it fail.",
        "Look for such rows with zanith_plan --preflight, or add the check NOT VALID and validate "
        "it in a later release.",
        "ddl-constraints#DDL-CONSTRAINTS-CHECK-CONSTRAINTS",
    ),
    Reason(
        "drops_unique_constraint",
        Level.MEDIUM,
        "Drops a unique constraint",
        "Writers may add duplicates, which then prevent adding the constraint again. Queries lose "
        "its index, and ON CONFLICT over its columns fails.",
        "Drop it only after its replacement is in place.",
        "ddl-constraints#DDL-CONSTRAINTS-UNIQUE-CONSTRAINTS",
    ),
    Reason(
        "drops_foreign_key",
        Level.MEDIUM,
        "Drops a foreign key",
        "Rows may reference targets that do not exist. Readers and writers of both tables wait "
        "for a brief ACCESS EXCLUSIVE lock.",
        "Drop it only if the code keeps the reference valid, in a transaction of its own.",
        "ddl-constraints#DDL-CONSTRAINTS-FK",
    ),
)
