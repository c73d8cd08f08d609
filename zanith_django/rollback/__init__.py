"""Rollback: the newest migrations undone by the inverses of their operations."""
