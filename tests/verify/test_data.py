"""A shadow with rows: samples, masks, copies of a restored database, durations of production."""

from __future__ import annotations

from tests.copies import Copy
from tests.releases import Releases
from tests.servers import Server
from tests.verify.test_observations import step, verified

MODELS = """
from django.db import models

class Shelf(models.Model):
    above = models.ForeignKey("self", models.CASCADE, null=True)

class Reader(models.Model):
    name = models.CharField(max_length=30)
    email = models.CharField(max_length=60, unique=True)
    api_token = models.CharField(max_length=10, unique=True)

class Book(models.Model):
    title = models.CharField(max_length=20)
    shelf = models.ForeignKey(Shelf, models.CASCADE)
    reader = models.ForeignKey(Reader, models.CASCADE, null=True)
"""


def with_many_rows(releases: Releases) -> None:
    """Shelves above one another, and a book on the last ones; one title comes twice."""
    releases.start(MODELS)
    sql = releases.project.sql
    sql("INSERT INTO people_shelf (above_id) SELECT NULLIF(n - 1, 0) FROM generate_series(1, 50) n")
    sql(
        "INSERT INTO people_reader (name, email, api_token) "
        "SELECT 'Ann', n || '@shop.test', 'token' || n FROM generate_series(1, 50) n"
    )
    sql(
        "INSERT INTO people_book (title, shelf_id, reader_id) "
        "SELECT CASE WHEN n < 3 THEN 'twice' ELSE n::text END, 51 - n, n "
        "FROM generate_series(1, 50) n"
    )
    sql("CREATE TABLE numbered (code text, low int, down int)")
    sql("CREATE SEQUENCE of_text OWNED BY numbered.code")
    sql("CREATE SEQUENCE from_five MINVALUE 5 OWNED BY numbered.low")
    sql("CREATE SEQUENCE downwards INCREMENT -1 OWNED BY numbered.down")
    sql("INSERT INTO numbered VALUES ('a', 7, -7)")
    sql("ANALYZE")


def test_a_sample_is_masked_and_closed_over_foreign_keys(copy_of: Copy, server: Server) -> None:
    shop = copy_of(with_many_rows).project
    shop.sql(f'ALTER DATABASE "{shop.database.name}" SET search_path = beside, public')
    shop.sql("CREATE SCHEMA beside")
    shop.write("settings.py", (shop.root / "settings.py").read_text() + MASKS)
    verdict = verified(shop, "--sample", "5", "--keep")
    name = verdict["shadow"].removeprefix("ephemeral ")
    assert "5 rows a table" in verdict["loaded"]
    try:
        kept = type(shop)(shop.root, type(shop.database)(name, server.url(name)))
        assert kept.sql("SELECT count(*) FROM people_book") == [(5,)]
        assert kept.sql("SELECT count(*), min(id), max(id) FROM people_shelf") == [(50, 1, 50)]
        readers = kept.sql("SELECT name, email, api_token FROM people_reader")
        assert len(readers) == 5
        assert all(email.endswith("@shop.test") for _, email, _ in readers)
        assert all(len(title) > 5 for (title,) in kept.sql("SELECT title FROM people_book"))
        assert not any("token" in token or name == "Ann" for name, _, token in readers)
        assert kept.sql("INSERT INTO people_shelf DEFAULT VALUES RETURNING id") == [(51,)]
        assert kept.sql(NEXT) == [(1, 8, -8)]
    finally:
        server.drop_database(name)


NEXT = "SELECT nextval('of_text'), nextval('from_five'), nextval('downwards')"
MASKS = 'ZANITH = {"MASK": {"people_reader.email": "keep", "people_book.title": "hash"}}\n'


def test_duplicates_of_the_sample_and_of_a_restored_copy_fail_a_unique(
    copy_of: Copy, server: Server
) -> None:
    shop = copy_of(with_many_rows).project
    step(shop, 'migrations.RunSQL("CREATE UNIQUE INDEX titles ON people_book (title)")')
    assert verified(shop)["verdict"] == "ok"
    restored = server.create_database(shop.database.name)
    before = shop.sql("SELECT count(*) FROM people_book")
    try:
        for arguments in (["--sample", "100"], ["--data", server.url(restored)]):
            verdict = verified(shop, *arguments)
            assert verdict["verdict"] == "apply-failed"
            assert "titles" in verdict["error"]
            assert "twice" in verdict["error"]
        copy = type(shop)(shop.root, type(shop.database)(restored, server.url(restored)))
        assert copy.sql("SELECT count(*) FROM people_book") == before
        assert copy.sql("SELECT to_regclass('titles')") == [(None,)]
    finally:
        server.drop_database(restored)


def test_a_duration_is_extrapolated_to_the_rows_of_production(copy_of: Copy) -> None:
    shop = copy_of(with_many_rows).project
    step(shop, 'migrations.RunSQL("CREATE INDEX titles ON people_book (title)")')
    (found,) = verified(shop, "--sample", "5")["steps"]
    estimate = found["estimate"]
    assert (estimate["table"], estimate["shadow_rows"], estimate["live_rows"]) == (
        "people_book",
        5,
        50,
    )
    assert abs(estimate["seconds"] - 10 * estimate["from_seconds"]) < 1e-6
