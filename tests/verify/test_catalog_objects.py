"""Which objects of the database a verification watches."""

from __future__ import annotations

from tests.servers import Database
from zanith_django.verify.catalog_objects import CatalogObjects
from zanith_django.verify.shadow_names import MARKER


def test_a_shadow_of_another_session_is_nothing_that_a_step_made_or_dropped(
    fresh_database: Database,
) -> None:
    own, other = f"{MARKER}own", f"{MARKER}other"
    with fresh_database.connect() as session, fresh_database.connect() as another:
        session.execute(f"CREATE SCHEMA {own}; SET search_path = {own}, public".encode())
        another.execute(f"CREATE SCHEMA {other}; CREATE TABLE {other}.t (a integer)".encode())
        objects = CatalogObjects()
        objects.read(session)
        another.execute(f"DROP SCHEMA {other} CASCADE".encode())
        another.execute(f"CREATE SCHEMA {MARKER}third".encode())
        session.execute("CREATE TABLE mine (CHECK (true))")

        change = objects.read(session)

        assert [each.words for each in change.shortened.made] == ["table mine"]
        assert change.dropped == ()
