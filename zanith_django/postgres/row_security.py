"""Row security: what policies hide from the role of a session."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.postgres import sql
from zanith_django.postgres.rows import one_value


def blinded_role(connection: BaseDatabaseWrapper, table: sql.Fragment) -> str:
    """The role of this session if policies may hide rows of the table from it; "" if it sees all.
    `table` is a literal of `sql.regclass`."""
    text = sql.compose("SELECT current_user WHERE row_security_active({it}::regclass)", it=table)
    return one_value(connection, text) or ""
