"""Graphs as JSON: through jsonb and back exactly, from files of long ago, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from tests.graphs import differences
from tests.library import library
from tests.project import BuildProject
from tests.schema.test_graph import graph as full_graph
from zanith_django.exceptions import UnreadableGraph
from zanith_django.ledger.ledger import Ledger
from zanith_django.plan.comparison import Sources
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.project import live_graph

DATA = Path(__file__).parent.parent / "data"

# What a library can have besides: the kinds of object that no model declares.
MORE = """
CREATE SCHEMA audit;
CREATE COLLATION audit.german (provider = libc, locale = 'C');
CREATE TABLE audit."Wei.rd ""% name" (
    "select" text COLLATE audit.german, born date NOT NULL, a int,
    UNIQUE NULLS NOT DISTINCT (a) INCLUDE (born)
) PARTITION BY RANGE (a);
CREATE TABLE audit.low PARTITION OF audit."Wei.rd ""% name" FOR VALUES FROM (0) TO (10);
COMMENT ON TABLE audit.low IS 'low';
CREATE TABLE heir () INHERITS (made_genre);
CREATE UNLOGGED TABLE quick (a int CHECK (a > 0) NO INHERIT, b text) WITH (fillfactor = 50);
ALTER TABLE quick ALTER b SET STORAGE EXTERNAL;
CREATE TRIGGER quiet BEFORE UPDATE ON made_book FOR EACH ROW
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE made_book DISABLE TRIGGER quiet;
CREATE RULE nothing AS ON DELETE TO quick DO INSTEAD NOTHING;
CREATE STATISTICS apart ON title, blurb FROM made_book;
ALTER TABLE made_loan REPLICA IDENTITY FULL, FORCE ROW LEVEL SECURITY;
ALTER SEQUENCE made_loan_id_seq CYCLE;
COMMENT ON CONSTRAINT book_price ON made_book IS 'it''s "never" \\ less: ü €';
"""


@pytest.fixture
def live(within: DatabaseWrapper) -> SchemaGraph:
    """A live schema that has every kind of object."""
    with within.schema_editor() as editor:
        for each in library():
            editor.create_model(each)
    with within.cursor() as cursor:
        cursor.execute(MORE)
    return live_graph(within)


@pytest.mark.parametrize("which", ["live", "full"])
def test_a_snapshot_comes_back_exactly(
    within: DatabaseWrapper, live: SchemaGraph, which: str
) -> None:
    graph = live if which == "live" else full_graph()
    ledger = Ledger(within)
    ledger.ensure()
    ledger.write_snapshot("m1", "after", graph, {"user": "somebody"})
    again = Sources(within).graph("m1")
    assert differences(again, graph) == []
    assert again.to_json() == graph.to_json()
    assert again.fingerprint() == graph.fingerprint()
    columns = {table.name: table.column_names for table in graph.tables}
    assert {table.name: table.column_names for table in again.tables} == columns


def test_the_live_schema_has_every_kind_of_object(live: SchemaGraph) -> None:
    # Not every server has an extension to install.
    for part in ("tables", "collations", "schemas"):
        assert getattr(live, part), part
    silent = {
        name
        for name in type(live.tables[0]).__dataclass_fields__
        if name not in ("tablespace", "_by_name", "dependents", "replicated")
        and not any(getattr(table, name) for table in live.tables)
    }
    assert silent == set()


def stored() -> dict[str, Any]:
    """A graph as the first version wrote it, with every kind of object and every field."""
    data: dict[str, Any] = json.loads((DATA / "graph_version_1.json").read_text())
    return data


def test_a_graph_of_version_1_is_still_read() -> None:
    data = stored()
    graph = SchemaGraph.from_json(data["graph"])
    assert data["graph"]["version"] == 1
    assert graph.to_json() == data["graph"] | {"version": graph.to_json()["version"]}
    assert graph.fingerprint() == data["fingerprint"]


def test_a_snapshot_of_an_unknown_version_ends_a_command(project: BuildProject) -> None:
    built = project({})
    built.write("later.json", json.dumps(stored()["graph"] | {"version": 99}))
    done = built.manage("zanith_diff", "later.json", "empty")
    assert done.returncode == 3
    assert "This graph has version 99; this zanith reads up to 1." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"version": 1}', '{"version": 1, "tables": 7}'])
def test_a_file_that_is_no_graph_is_a_problem_of_the_environment(
    within: DatabaseWrapper, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    with pytest.raises(UnreadableGraph) as caught:
        Sources(within).graph(str(file))
    assert caught.value.returncode == 3
