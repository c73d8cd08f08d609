"""Splits and merges: whichever form a row is written by, the other follows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.examples import MERGES, T, column
from tests.place import Place
from zanith_django import operations as ops
from zanith_django.exceptions import BrokenFile
from zanith_django.files import files
from zanith_django.operations import Derived, EndDualWrite, MergeColumns, Operation, SplitColumn
from zanith_django.schema.graph import Column

NAME = Derived(Column("name", "text", nullable=False), "concat_ws(' ', first, last)")
FIRST = Derived(
    Column("first", "character varying(9)", nullable=False, default="''::character varying"),
    "split_part(name, ' ', 1)",
)
LAST = Derived(
    Column("last", "text", nullable=False, default="''::text"), "split_part(name, ' ', 2)"
)


def apply(place: Place, operation: Operation | None) -> Operation:
    assert operation is not None
    place.apply(operation, place.context(place.read()))
    return operation


@pytest.fixture
def people(empty_place: Place) -> Place:
    """Two rows, of which one is spelled as no expression would spell it."""
    empty_place.execute(
        "CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL, age integer);"
        "INSERT INTO t (name) VALUES ('Ada Lovelace'), ('Grace  Brewster Hopper')"
    )
    return empty_place


@pytest.fixture
def split(people: Place) -> Place:
    """The same with the name split in two."""
    apply(people, SplitColumn(table=T, source=NAME, into=(FIRST, LAST)))
    return people


def row(place: Place, where: str) -> Any:
    (found,) = place.execute(f"SELECT name, first, last FROM t WHERE {where}")
    return found


def test_rows_that_are_there_are_filled_and_the_old_form_stays_as_it_was(split: Place) -> None:
    assert row(split, "id = 1") == ("Ada Lovelace", "Ada", "Lovelace")
    assert row(split, "id = 2") == ("Grace  Brewster Hopper", "Grace", "")


def test_code_that_writes_the_old_form_keeps_the_new_one_right(split: Place) -> None:
    split.execute("INSERT INTO t (name) VALUES ('Alan Turing')")
    split.execute("UPDATE t SET name = 'Ada King' WHERE id = 1")
    split.execute("UPDATE t SET age = 36")
    assert row(split, "id = 3") == ("Alan Turing", "Alan", "Turing")
    assert row(split, "id = 1") == ("Ada King", "Ada", "King")


def test_code_that_writes_the_new_form_keeps_the_old_one_right(split: Place) -> None:
    split.execute("INSERT INTO t (first, last) VALUES ('Alan', 'Turing')")
    split.execute("UPDATE t SET last = 'King' WHERE id = 1")
    split.execute("UPDATE t SET first = 'Grace', last = '', age = 85 WHERE id = 2")
    assert row(split, "id = 3") == ("Alan Turing", "Alan", "Turing")
    assert row(split, "id = 1") == ("Ada King", "Ada", "King")
    assert row(split, "id = 2") == ("Grace  Brewster Hopper", "Grace", "")


def test_code_that_writes_both_forms_is_believed(split: Place) -> None:
    split.execute("INSERT INTO t (name, first, last) VALUES ('Turing, Alan', 'Alan', 'Turing')")
    split.execute("UPDATE t SET name = 'King, Ada', last = 'King' WHERE id = 1")
    assert row(split, "id = 3") == ("Turing, Alan", "Alan", "Turing")
    assert row(split, "id = 1") == ("King, Ada", "Ada", "King")


def test_a_row_of_which_neither_form_is_given_takes_what_it_can(people: Place) -> None:
    into = tuple(
        dataclasses.replace(item, column=Column(item.name, "text")) for item in (FIRST, LAST)
    )
    apply(people, SplitColumn(table=T, source=NAME, into=into))
    people.execute("INSERT INTO t (age) VALUES (1)")
    assert row(people, "age = 1") == ("", "", "")


def test_an_upsert_and_a_copy_are_writes_too(split: Place) -> None:
    split.execute(
        "INSERT INTO t (id, name) VALUES (1, 'x y') ON CONFLICT (id) DO UPDATE SET first = 'Eve'"
    )
    with split.connection.cursor().copy("COPY t (name) FROM STDIN") as copy:
        copy.write_row(["Alan Turing"])
    assert row(split, "id = 1") == ("Eve Lovelace", "Eve", "Lovelace")
    assert row(split, "last = 'Turing'") == ("Alan Turing", "Alan", "Turing")


def test_the_end_lets_the_old_column_go_and_its_inverse_lets_it_follow_again(split: Place) -> None:
    end = apply(split, EndDualWrite(table=T, old=(NAME,), new=(FIRST, LAST)))
    split.execute("INSERT INTO t (first, last) VALUES ('Alan', 'Turing')")
    split.execute("UPDATE t SET last = 'King' WHERE id = 1")
    assert row(split, "id = 3") == (None, "Alan", "Turing")
    drop = apply(split, ops.SoftDropColumn.of(split.read().tables[0], column(split.read(), "name")))
    split.execute("INSERT INTO t (first, last) VALUES ('Emmy', 'Noether')")
    apply(split, drop.inverse())
    apply(split, end.inverse())
    assert split.execute("SELECT name FROM t ORDER BY id") == [
        ("Ada King",),
        ("Grace ",),
        ("Alan Turing",),
        ("Emmy Noether",),
    ]
    split.execute("UPDATE t SET name = 'Amalie Noether' WHERE last = 'Noether'")
    assert row(split, "last = 'Noether'") == ("Amalie Noether", "Amalie", "Noether")


def test_giving_up_takes_the_new_columns_and_the_trigger_away(split: Place) -> None:
    before = split.execute("SELECT name FROM t ORDER BY id")
    apply(split, EndDualWrite(table=T, old=(NAME,), new=(FIRST, LAST), keeps="old"))
    assert split.execute("SELECT name FROM t ORDER BY id") == before
    assert split.value("SELECT count(*) FROM pg_trigger WHERE tgname ~ '^_zanith'") == 0
    assert split.value("SELECT count(*) FROM pg_proc WHERE proname ~ '^_zanith_dual'") == 0


def test_columns_are_merged_and_both_forms_written(place: Place) -> None:
    operation = MERGES[0].operation(place.read())
    apply(place, operation)
    assert place.execute("SELECT a, d, joined FROM t WHERE id = 1") == [(1, 1, "1-1")]
    place.execute("UPDATE t SET joined = '8-9' WHERE id = 1; UPDATE t SET d = 5 WHERE id = 2")
    place.execute("INSERT INTO t (joined) VALUES ('3-4'); INSERT INTO t (a) VALUES (77)")
    assert place.execute("SELECT a, d, joined FROM t WHERE id IN (1, 2, 6, 7) ORDER BY id") == [
        (8, 9, "8-9"),
        (2, 5, "2-5"),
        (3, 4, "3-4"),
        (77, None, "77"),
    ]


def test_names_of_any_kind_and_values_without_equality_are_kept_right(empty_place: Place) -> None:
    place = empty_place
    place.execute('CREATE TABLE t (id serial PRIMARY KEY, "new" json, "order" text)')
    place.execute("""INSERT INTO t ("new") VALUES ('{"a": 1, "b": 2}')""")
    one, two = (
        Derived(Column(name, "json"), f"""("new" -> '{key}')""")
        for name, key in (("One's", "a"), ("old", "b"))
    )
    whole = Derived(Column("new", "json"), """json_build_object('a', "One's", 'b', "old")""")
    apply(place, SplitColumn(table=T, source=whole, into=(one, two)))
    place.execute("""UPDATE t SET "old" = '3'""")
    assert place.execute('SELECT "new", "One\'\'s", "old" FROM t'.replace("''", "'")) == [
        ({"a": 1, "b": 3}, 1, 3)
    ]


# --- what is refused -----------------------------------------------------------------------------


def changed(item: Derived, **fields: Any) -> Derived:
    return dataclasses.replace(item, column=dataclasses.replace(item.column, **fields))


NONSENSE = {
    "into two columns or more": {"into": (FIRST,)},
    "splitColumn of t: first is named twice": {"into": (FIRST, FIRST)},
    "splitColumn of t.last: no SQL expression": {
        "into": (FIRST, dataclasses.replace(LAST, value=" "))
    },
    "t.last: PostgreSQL computes it": {"into": (FIRST, changed(LAST, identity="always"))},
    r"its default gen_random_uuid\(\) differs for every row": {
        "into": (FIRST, changed(LAST, default="gen_random_uuid()"))
    },
    "is no Derived": {"source": "name"},
}


@pytest.mark.parametrize("fields", NONSENSE.values(), ids=list(NONSENSE))
def test_what_cannot_be_kept_right_is_refused_by_name(fields: dict[str, Any]) -> None:
    words = next(words for words, given in NONSENSE.items() if given is fields)
    given: dict[str, Any] = {"source": NAME, "into": (FIRST, LAST), **fields}
    with pytest.raises(ValueError, match=words):
        SplitColumn(table=T, **given)


def test_a_merge_of_one_and_an_end_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="of two columns or more"):
        MergeColumns(table=T, sources=(FIRST,), into=NAME)
    with pytest.raises(ValueError, match="one column on one side"):
        EndDualWrite(table=T, old=(FIRST,), new=(NAME,))
    with pytest.raises(ValueError, match='keeps is "old" or "new"'):
        EndDualWrite(table=T, old=(FIRST, LAST), new=(NAME,), keeps="both")


def test_a_file_that_says_nonsense_is_refused_with_its_line(tmp_path: Path) -> None:
    text = files.render_migration([SplitColumn(table=T, source=NAME, into=(FIRST, LAST))])
    path = tmp_path / "20260101_120000_split.py"
    path.write_text(text.replace(repr(LAST.value)[1:-1], " "))
    with pytest.raises(BrokenFile, match=r":\d+: .*splitColumn of t.last: no SQL expression"):
        files.load(path, "app")
    path.write_text(text.replace("source=", "sauce="))
    with pytest.raises(BrokenFile, match=r":\d+: .*sauce"):
        files.load(path, "app")
