"""Lock modes as PostgreSQL spells them, and which of them conflict."""

from __future__ import annotations

from zanith_django.postgres.locks import Lock


def test_modes_are_spelled_as_the_catalog_does() -> None:
    modes = [mode for mode in Lock if mode]
    assert [Lock.from_catalog(mode.catalog) for mode in modes] == modes


def test_a_conflict_is_one_for_both() -> None:
    assert all(one in other.conflicts for one in Lock for other in one.conflicts)
