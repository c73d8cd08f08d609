"""The ledger: five tables, which only the classes of this folder write."""

from __future__ import annotations

from zanith_django.ledger.artifacts import Artifacts
from zanith_django.ledger.details import Details
from zanith_django.ledger.migrations import Migrations


class Ledger(Migrations, Details, Artifacts):
    """All five tables, over one connection."""
