"""The words of every error, so that they change on purpose: one entry or more for each class."""

from __future__ import annotations

import re

import pytest

from zanith_django import exceptions
from zanith_django.exceptions import (
    ArtifactForged,
    ArtifactMissing,
    BadSetting,
    Blocked,
    BrokenFile,
    CannotAdopt,
    CannotAlter,
    CannotDrop,
    CannotPurge,
    CannotRestore,
    CannotUndo,
    CannotWrite,
    ChangesFound,
    ConflictingLeaves,
    ConnectionFailed,
    ConnectionLost,
    DefaultGone,
    DeferredChanged,
    Differs,
    EnvironmentProblem,
    FileEdited,
    FileMissing,
    GateRefused,
    HalfRolledBack,
    InconsistentRecord,
    IndexTaken,
    InTheWay,
    InvalidArgument,
    InvalidName,
    LedgerDamaged,
    LedgerHeld,
    LedgerKeyLost,
    LockLost,
    LockNotAcquired,
    MissingRight,
    NameTooLong,
    NoManagedApps,
    NotAdopted,
    NoTerminal,
    NotPostgreSQL,
    NotPurged,
    NotVerified,
    PartlyApplied,
    PooledConnection,
    Refused,
    RefusedByServer,
    RenameUnanswered,
    RowsHidden,
    RowsLeft,
    ServerTooOld,
    ShadowFailed,
    ShadowUnreachable,
    ShadowUnsuited,
    StepFailed,
    UnknownApp,
    UnknownArtifact,
    UnknownGraphVersion,
    UnknownMigration,
    UnknownReason,
    UnknownSchema,
    UnreadableGraph,
    UnreadableModel,
    UsageError,
    ZanithError,
)

BASES = (ZanithError, Refused, UsageError, EnvironmentProblem)

# Error, its words, its hint.
WORDS: list[tuple[ZanithError, str, str]] = [
    (
        ArtifactForged("shop:0002_x:3:soft_drop_column", "its source_table does not match its id"),
        "The ledger's row of shop:0002_x:3:soft_drop_column is invalid: its source_table "
        "does not match its id.",
        "Restore the row from a backup of the ledger, and check which roles may write the ledger.",
    ),
    (
        ArtifactMissing("shop:0002_x:3:soft_drop_column", "shop_book.isbn"),
        "The object of shop:0002_x:3:soft_drop_column is not in the database: nothing was dropped.",
        "zanith_recover purge shop_book.isbn --missing --yes records that it was dropped.",
    ),
    (
        BadSetting("LOCK_TIMEOUT", "must be a number of seconds"),
        "Setting ZANITH['LOCK_TIMEOUT'] must be a number of seconds.",
        "Fix the ZANITH setting; manage.py check tests it.",
    ),
    (
        BadSetting("ZANITH", "must be a dict", "Write ZANITH = {}."),
        "Setting ZANITH must be a dict.",
        "Write ZANITH = {}.",
    ),
    (
        Blocked(2),
        "The plan is blocked (2 refused).",
        "",
    ),
    (
        BrokenFile(
            "shop/zanith_migrations/0001_x.py", "requires shop.0009_y, which does not exist"
        ),
        "Migration file shop/zanith_migrations/0001_x.py: requires shop.0009_y, which "
        "does not exist",
        "Fix the file, or delete it and run zanith_generate.",
    ),
    (
        BrokenFile("shop/zanith_migrations/0001_x.py", "is not Python", 12, "Fix line 12."),
        "Migration file shop/zanith_migrations/0001_x.py:12: is not Python",
        "Fix line 12.",
    ),
    (
        CannotAdopt("shop.0002_note", ["addColumn shop_book.note"], "shop.<name>"),
        "The tables of shop match no state of its migrations. The nearest is "
        "shop.0002_note, which would need:\n"
        "  addColumn shop_book.note",
        "Fix the tables first, or name the migration that they match: zanith_baseline "
        "--at shop.<name>",
    ),
    (
        CannotAlter("shop.Book.authors", "shop.0002_authors"),
        "shop.0002_authors alters shop.Book.authors to or from a many-to-many field, or "
        "adds or removes its through model: Django refuses to run that.",
        "Remove the field and add the new one in that migration; to keep the rows, "
        "create the through model on the old table in state_operations.",
    ),
    (
        CannotDrop("Column shop_book.isbn", "view isbns depends on it"),
        "Column shop_book.isbn cannot be dropped: view isbns depends on it.",
        "Remove its dependents in a separate migration first.",
    ),
    (
        CannotPurge("shop_book.isbn", "its archive is damaged"),
        "Refusing to purge shop_book.isbn: its archive is damaged.",
        "Run zanith_recover list to see the artifacts.",
    ),
    (
        CannotRestore("shop_book.isbn", "shop_book has a column isbn"),
        "Refusing to restore shop_book.isbn: shop_book has a column isbn.",
        "Run zanith_recover inspect shop_book.isbn to see it.",
    ),
    (
        CannotUndo("Step 0002_x:3", "it ran SQL without reverse_sql"),
        "Step 0002_x:3 cannot be undone: it ran SQL without reverse_sql.",
        "Run zanith_recover list to see the artifacts.",
    ),
    (
        CannotWrite("shop/zanith_migrations/0001_x.py", PermissionError(13, "Permission denied")),
        "Cannot write shop/zanith_migrations/0001_x.py: Permission denied.",
        "Check that its parent is a writable folder. zanith_baseline --no-files writes no files.",
    ),
    (
        ChangesFound(["shop.0003_note: no zanith migration"]),
        "Changes without a migration:\n  shop.0003_note: no zanith migration",
        "Run zanith_generate and commit what it writes.",
    ),
    (
        ConnectionFailed(
            "default", 'connection to "postgresql://app:secret@db/shop" refused\nIs it up?'
        ),
        "Cannot connect to database 'default': connection to "
        '"postgresql://app:***@db/shop" refused',
        "Check DATABASES['default'] and that the server runs.",
    ),
    (
        ConnectionLost(
            "default", "add column shop_book.note", "server closed the connection\n", "zanith_apply"
        ),
        "The connection to database 'default' was lost during: add column shop_book.note\n"
        "  server closed the connection",
        "Check that the server runs, then run zanith_apply again: it resumes at this step.",
    ),
    (
        DefaultGone("shop.0002_note, operation 3", "has no default any more"),
        "It takes the default of shop.0002_note, operation 3, which has no default any more.",
        "Delete the file and run zanith_generate, or correct the position in it.",
    ),
    (
        DeferredChanged("shop.0002_note"),
        "The deferred SQL of shop.0002_note in the ledger is not what its operations "
        "defer: the file or the row was edited.",
        "Restore the file from version control, or the row from a backup of the ledger.",
    ),
    (
        Differs("models", "live"),
        "models and live differ.",
        "",
    ),
    (
        FileEdited("0002_x", "0002_x is applied, and its file was edited"),
        "0002_x is applied, and its file was edited.",
        "Restore the file from version control, or write the change as a new migration.",
    ),
    (
        FileMissing("0002_x", "0002_x is applied, and its file is gone"),
        "0002_x is applied, and its file is gone.",
        "Restore the file from version control, or deploy the code that has it. If it "
        "was removed for good, run zanith_baseline: it accepts the database as it is.",
    ),
    (
        GateRefused(["0002_x: drops column shop_book.isbn", "0003_y: rewrites shop_book"]),
        "The plan is blocked.\n  0002_x: drops column shop_book.isbn\n  0003_y: rewrites shop_book",
        "Run zanith_plan to see the whole plan.",
    ),
    (
        HalfRolledBack("0002_x"),
        "A rollback of 0002_x stopped before its end.",
        "Run zanith_rollback --steps 1: it resumes where it stopped.",
    ),
    (
        InTheWay(["view isbns depends on shop_book.isbn", "view notes depends on shop_book.note"]),
        "view isbns depends on shop_book.isbn\nview notes depends on shop_book.note",
        "",
    ),
    (
        InconsistentRecord("shop.0002_note", "shop.0001_initial"),
        "Django's record lists shop.0002_note as applied, but not shop.0001_initial, on "
        "which it depends.",
        "Run zanith_baseline: it records the migrations whose tables exist.",
    ),
    (
        IndexTaken("shop_book_note", "CREATE INDEX shop_book_note ON shop_book (id)"),
        "An index shop_book_note with another definition exists: CREATE INDEX "
        "shop_book_note ON shop_book (id).\n"
        "Rename or drop it: DROP INDEX CONCURRENTLY shop_book_note.",
        "Rename or drop it: DROP INDEX CONCURRENTLY shop_book_note.",
    ),
    (
        InvalidArgument("--steps and --to exclude each other.", "Give one of them."),
        "--steps and --to exclude each other.",
        "Give one of them.",
    ),
    (
        InvalidName("a.b.c"),
        "'a.b.c' is not a table name.",
        'Write table, schema.table, or "schema"."table" with quotes.',
    ),
    (
        LedgerDamaged("_zanith_migration_steps", 'column "status" does not exist\nLINE 1'),
        'Ledger table _zanith_migration_steps is damaged: column "status" does not exist.',
        "Run zanith_apply: it repairs the tables of the ledger.",
    ),
    (
        LedgerHeld(
            "ALTER TABLE _zanith_snapshots ALTER graph TYPE jsonb", "view v depends on column graph"
        ),
        "The ledger could not be repaired by ALTER TABLE _zanith_snapshots ALTER graph "
        "TYPE jsonb\n"
        "  view v depends on column graph",
        "Drop what depends on the column, run zanith_apply, and create it again.",
    ),
    (
        LedgerKeyLost("_zanith_migration_steps", "id", ["number"]),
        "Ledger table _zanith_migration_steps has lost its key column id.",
        "If it was renamed: ALTER TABLE _zanith_migration_steps RENAME COLUMN number TO "
        "id; If it was dropped, restore it from a backup.",
    ),
    (
        LedgerKeyLost("_zanith_migration_steps", "id", []),
        "Ledger table _zanith_migration_steps has lost its key column id.",
        "If it was renamed: ALTER TABLE _zanith_migration_steps RENAME COLUMN <its name "
        "now> TO id; If it was dropped, restore it from a backup.",
    ),
    (
        LockLost(),
        "The run lock was lost during the run; no further step was started.",
        "Run zanith_apply again: it resumes where this run stopped.",
    ),
    (
        LockNotAcquired("pid 4711 on db (zanith_apply)", 30.4),
        "Another run holds the lock: pid 4711 on db (zanith_apply) (waited 30 s).",
        "Wait for that run to end, or give --lock-wait more seconds.",
    ),
    (
        MissingRight(
            "CREATE on schema public", "create the ledger", "GRANT CREATE ON SCHEMA public TO app;"
        ),
        "The database role lacks CREATE on schema public, needed to create the ledger.",
        "GRANT CREATE ON SCHEMA public TO app;",
    ),
    (
        NameTooLong("a" * 64),
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is longer "
        "than 63 bytes, the limit of PostgreSQL.",
        "Choose a shorter name: PostgreSQL would truncate it silently.",
    ),
    (
        NoManagedApps(["/srv/shop"], ["shop"]),
        "No app is managed: no installed app is in /srv/shop, outside the library folders.",
        'Name the apps whose migrations zanith writes: ZANITH = {"APPS": ["shop"]}.',
    ),
    (
        NoManagedApps([], []),
        "No app is managed: setting ZANITH['APPS'] is empty.",
        'Name the apps whose migrations zanith writes: ZANITH = {"APPS": ["shop"]}.',
    ),
    (
        NoTerminal(["shop", "people"]),
        "makemigrations asks a question, but there is no terminal to answer it.",
        "Run makemigrations shop people in a terminal, then this command again.",
    ),
    (
        NotAdopted("shop_book", "shop"),
        "Table shop_book exists, but Django's record lists no migration of shop that creates it.",
        "Run zanith_baseline to adopt the tables that exist already.",
    ),
    (
        NotPostgreSQL("default", "sqlite"),
        "Database 'default' is sqlite; zanith works on PostgreSQL only.",
        "Set its ENGINE to django.db.backends.postgresql, or name another one with --database.",
    ),
    (
        NotPurged(3),
        "3 could not be purged.",
        "Fix the reported causes, then run the same command again.",
    ),
    (
        NotVerified("differs"),
        "The verdict of the run on the shadow is: differs.",
        "",
    ),
    (
        PartlyApplied("0002_x", ["shop.0002_note"], ["shop.0003_isbn"]),
        "Migration 0002_x covers Django migrations of which some are applied "
        "(shop.0002_note) and some are not (shop.0003_isbn).",
        "Finish them with `manage.py migrate shop 0003_isbn`, or go back with `manage.py "
        "migrate shop <the previous one>`.",
    ),
    (
        PooledConnection(),
        "The connection goes through a transaction-pooling proxy, which makes the run "
        "lock worthless.",
        'Name an alias that bypasses the proxy: ZANITH = {"DIRECT": "direct"}.',
    ),
    (
        RefusedByServer("permission denied for table shop_book", "42501"),
        "PostgreSQL reports: permission denied for table shop_book",
        "docs/privileges.md lists the grants that the role needs and the tables that it owns.",
    ),
    (
        RefusedByServer("canceling statement due to statement timeout", "57014"),
        "PostgreSQL reports: canceling statement due to statement timeout",
        "The role or the database may have a short statement_timeout (SHOW "
        "statement_timeout): raise it, or set it in OPTIONS of DATABASES.",
    ),
    (
        RefusedByServer("no schema has been selected to create in", "3F000"),
        "PostgreSQL reports: no schema has been selected to create in",
        "Create the schema, or name an existing one: the setting search_path (SHOW "
        "search_path) comes from OPTIONS in DATABASES, from the role or from the "
        "database.",
    ),
    (
        RefusedByServer("division by zero", "22012"),
        "PostgreSQL reports: division by zero",
        "",
    ),
    (
        RenameUnanswered(["shop.Book.isbn to shop.Book.code"], ["shop"]),
        "makemigrations asks about renames, but there is no terminal to answer it:\n"
        "  shop.Book.isbn to shop.Book.code",
        "If so, run makemigrations shop in a terminal and answer yes. If not, run "
        "makemigrations --no-input shop: the old one is removed, and the new one is "
        "empty.",
    ),
    (
        RowsHidden("shop_book", "app"),
        "cannot write all rows of shop_book: row security hides rows from app",
        "Run it as a role with BYPASSRLS.",
    ),
    (
        RowsLeft("shop_book", 7, "note IS NULL"),
        "cannot write 7 rows of shop_book where note IS NULL: a trigger that returns "
        "NULL, a rule or row security may keep them as they are",
        "",
    ),
    (
        ServerTooOld(140012),
        "The server is PostgreSQL 14; zanith needs 15 or later.",
        "Upgrade the server.",
    ),
    (
        ConflictingLeaves("shop", ["0002_b", "0002_a"]),
        "App shop has conflicting leaf migrations: 0002_a, 0002_b.",
        "Run manage.py makemigrations --merge shop, then zanith_generate.",
    ),
    (
        ShadowFailed("ephemeral", "out of memory in postgresql://app:secret@db/shop"),
        "The run on the shadow (ephemeral) failed: out of memory in postgresql://app:***@db/shop",
        "",
    ),
    (
        ShadowUnreachable("postgresql://db/shadow", "connection refused"),
        "The shadow (postgresql://db/shadow) cannot be reached: connection refused",
        "Set ZANITH['SHADOW'] or --shadow to database URL, ephemeral or schema.",
    ),
    (
        ShadowUnsuited("schema", "extension hstore"),
        "The shadow (schema) cannot hold extension hstore.",
        "Run zanith_verify --shadow ephemeral.",
    ),
    (
        StepFailed("0002_x:3", "add column shop_book.note", "relation does not exist\nLINE 1"),
        "Step 0002_x:3 failed: add column shop_book.note\n  relation does not exist\n  LINE 1",
        "Fix the cause, then run zanith_apply again: it resumes at this step. "
        "zanith_history --verbose shows what ran.",
    ),
    (
        StepFailed("0002_x:3", "add column shop_book.note", "permission denied", sqlstate="42501"),
        "Step 0002_x:3 failed: add column shop_book.note\n  permission denied",
        "Fix the cause, then run zanith_apply again: it resumes at this step. "
        "zanith_history --verbose shows what ran.\n"
        "docs/privileges.md lists the grants that the role needs and the tables that it "
        "owns.",
    ),
    (
        UnknownApp("shopp", ["shop", "people"]),
        "'shopp' is not an installed app.",
        "Managed apps: people, shop.",
    ),
    (
        UnknownArtifact("shop_book.isbn"),
        "There is no artifact for 'shop_book.isbn'.",
        "Run zanith_recover list to see the artifacts.",
    ),
    (
        UnknownGraphVersion(9, 4),
        "This graph has version 9; this zanith reads up to 4.",
        "Upgrade zanith_django, or take the snapshot again.",
    ),
    (
        UnknownMigration("shop.0002", ["shop.0002_note"]),
        "There is no migration 'shop.0002'.",
        "Did you mean shop.0002_note? Run zanith_status --all to see the migrations.",
    ),
    (
        UnknownReason("drop-colum", ["drop-column", "rewrite"]),
        "There is no reason 'drop-colum'.",
        "Did you mean drop-column? Known reasons: drop-column, rewrite.",
    ),
    (
        UnknownSchema("modles", ["models"]),
        "There is no schema 'modles'.",
        "Did you mean models? Type models, live, empty, the id of an applied migration "
        "(zanith_history lists them) or the path of a graph file.",
    ),
    (
        UnreadableGraph("it has no tables"),
        "This is not the JSON of a graph: it has no tables",
        "Write it with: zanith_diff live --format graph.",
    ),
    (
        UnreadableModel(
            "shop.Book", 'type "isbn" does not exist\nLINE 1', ["CREATE TYPE isbn: syntax error"]
        ),
        'PostgreSQL refuses the table of shop.Book: type "isbn" does not exist\n'
        "Failed before: CREATE TYPE isbn: syntax error",
        "Fix the model, or the SQL that creates the objects it needs. If pending Python "
        'computes that SQL, set ZANITH["SCRATCH"] to the alias or URL of a database '
        "that has them, until zanith_apply has run.",
    ),
]


@pytest.mark.parametrize(("error", "words", "hint"), WORDS, ids=[repr(each[0]) for each in WORDS])
def test_an_error_has_these_words(error: ZanithError, words: str, hint: str) -> None:
    assert (str(error), error.hint) == (words, hint)


def test_each_class_has_an_entry() -> None:
    classes = {each for each in vars(exceptions).values() if isinstance(each, type)}
    assert {type(error) for error, _, _ in WORDS} == classes.difference(BASES)


def test_the_tree_has_each_class_in_the_branch_of_its_base() -> None:
    drawn = re.split(r"^[├└]── ", str(exceptions.__doc__), flags=re.MULTILINE)[1:]
    assert len(drawn) == 3
    for branch in drawn:
        base = getattr(exceptions, branch.split()[0])
        classes = {name for name, each in vars(exceptions).items() if _is_below(each, base)}
        assert classes <= set(re.findall(r"\w+", branch)), base


def _is_below(each: object, base: type) -> bool:
    return isinstance(each, type) and issubclass(each, base)
