"""Audited, risk-scored, recoverable PostgreSQL migrations for Django.

Migration files say `import zanith_django as zanith` and find their whole language here.
"""

from zanith_django.migration import Migration
from zanith_django.operations import *  # noqa: F403  # the language, listed in its __all__
from zanith_django.schema.graph import (
    Check,
    Collation,
    Column,
    Exclusion,
    Extension,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    Table,
    TableName,
    Unique,
)

__version__ = "0.1.0"

__all__ = [
    "Check",
    "Collation",
    "Column",
    "Exclusion",
    "Extension",
    "ForeignKey",
    "Index",
    "IndexKey",
    "Migration",
    "Policy",
    "PrimaryKey",
    "Table",
    "TableName",
    "Unique",
]
