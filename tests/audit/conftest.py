"""The ledger that the admin's tests look at, too."""

from tests.admin.conftest import history, ledger

__all__ = ["history", "ledger"]
