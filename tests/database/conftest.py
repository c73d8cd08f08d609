"""Fixtures for the tests of models against a database."""

from __future__ import annotations

from tests.database.declared import shared_connection, within

__all__ = ["shared_connection", "within"]
