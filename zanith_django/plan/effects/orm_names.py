"""What querysets, rows, cursors and schema editors of Django do, by the names of their methods."""

from __future__ import annotations

import datetime
import decimal

from django.db.models import Manager, Model

LIMITS = frozenset(
    (
        "filter",
        "exclude",
        "get",
        "first",
        "last",
        "earliest",
        "latest",
        "none",
        "in_bulk",
    )
)
COPIES = frozenset(("copy", "callproc", "copy_expert", "copy_from"))
INSERTS = frozenset(
    (
        "create",
        "bulk_create",
        "get_or_create",
    )
)
CHANGES = frozenset(
    (
        "save",
        "bulk_update",
        "update_or_create",
        "add",
        "remove",
        "set",
        "clear",
    )
)
DELETES = frozenset(("delete", "_raw_delete"))
REMOVES = frozenset(
    (
        *("remove", "set", "clear"),
        *("aremove", "aset", "aclear"),
    )
)
"""Methods of related managers after which rows are no longer related."""
ASYNC = {f"a{name}": name for name in (*INSERTS, *CHANGES, "update", "delete")}
_VALUES = (str, bytes, int, list, dict, set, datetime.datetime, datetime.timedelta, decimal.Decimal)
# What querysets, rows and the values of their fields can do beside what is listed above.
READS = frozenset(
    name for each in (Manager, Model, *_VALUES) for name in dir(each) if not name.startswith("_")
) - {"save_base"}
EDITOR = frozenset(
    (
        "create_model",
        "delete_model",
        "alter_db_table",
        "add_field",
        "remove_field",
        "alter_field",
        "add_index",
        "remove_index",
        "add_constraint",
        "remove_constraint",
        "alter_unique_together",
    )
)
DROPPING = ("delete_model", "remove_field", "execute_sql_flush", *DELETES)
STRONG = EDITOR | DELETES | {"execute", "executemany"}
"""What may drop or delete anything, once it is handed to code under another name."""
UNREADABLE = frozenset(
    (
        "call_command",
        "execute_sql_flush",
        "exec",
        "eval",
        "system",
        "popen",
        "run",
        "check_call",
    )
)
FILTERS = frozenset(("filter", "exclude"))


def is_of_field(name: str) -> bool:
    """Is it a method that Django gives to a row for one of its fields?"""
    return name.endswith("_display") or name.startswith(("get_next_by_", "get_previous_by_"))
