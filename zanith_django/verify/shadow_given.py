"""A database that the user gives as the shadow: emptied first, and one run at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.conf import conf
from zanith_django.exceptions import InvalidArgument, ShadowUnreachable
from zanith_django.exceptions.masking import place_of
from zanith_django.postgres import sql
from zanith_django.postgres.run_lock import POLL_SECONDS
from zanith_django.verify.shadow import Place, Shadow, explained, one_row
from zanith_django.verify.shadow_names import Session, drop_tables, own

OnWait = Callable[[str], None]


@contextmanager
def given(
    connection: BaseDatabaseWrapper, place: Place, on_wait: OnWait | None = None
) -> Iterator[Shadow]:
    """A database for this purpose: a URL, or an alias of DATABASES. It is emptied first,
    which needs it to be empty or marked as ours already. Runs on it wait for each other."""
    shadow = Shadow(place_of(place.settings), place.settings)
    with shadow.connect() as session:
        _refuse_live(connection, session, shadow.name)
        _wait_for(session, shadow.name, on_wait)
        with explained(shadow.name, _OWNER):
            _reset(session, shadow.name)
        yield shadow


_OWNER = "The role must own this database, and all that is in it: ALTER DATABASE … OWNER TO …."


_IDENTITY = "SELECT system_identifier, current_database() FROM pg_control_system()"


def _refuse_live(connection: BaseDatabaseWrapper, session: Session, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_IDENTITY)
        live = cursor.fetchone()
    if one_row(session, _IDENTITY) == live:
        raise InvalidArgument(
            f"--shadow {name} is the live database itself.", "Name another database."
        )


def _wait_for(session: Session, name: str, on_wait: OnWait | None) -> None:
    """Take the lock of a shadow that others may use too."""
    started = time.monotonic()
    while not own(session, _MARKED):
        waited = time.monotonic() - started
        if waited >= conf.lock_wait:
            raise ShadowUnreachable(
                name,
                f"another zanith_verify uses it (waited {waited:.0f} s)",
                "Wait for that run to end, or give each run a database of its own.",
            )
        if on_wait:
            on_wait(f"another zanith_verify on {name}")
            on_wait = None
        time.sleep(POLL_SECONDS)


_MARKED = "_zanith_shadow_marker"

# PostgreSQL's own objects have smaller numbers (FirstNormalObjectId).
_OBJECTS = """\
SELECT pg_describe_object(o.class, o.oid, 0)
FROM (SELECT 'pg_class'::regclass AS class, oid, relnamespace AS schema FROM pg_class
      WHERE relkind NOT IN ('i', 'I', 't')
      UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
      UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
      WHERE typtype IN ('d', 'e', 'r') OR (typtype = 'b' AND typelem = 0)
      UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
      UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
      UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
      UNION ALL SELECT 'pg_namespace'::regclass, oid, 0 FROM pg_namespace
      WHERE nspname <> 'public'
      UNION ALL SELECT 'pg_publication'::regclass, oid, 0 FROM pg_publication
      UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0 FROM pg_event_trigger
      UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0 FROM pg_foreign_data_wrapper
      UNION ALL SELECT 'pg_largeobject'::regclass, oid, 0 FROM pg_largeobject_metadata
     ) AS o
WHERE o.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid IN (o.schema, o.oid)
                  AND n.nspname ~ '^pg_(toast|temp)')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid
                  AND d.deptype = 'e')
ORDER BY 1"""
_SCHEMAS = """\
SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'"""
# First of all: an event trigger may refuse to let anything be dropped.
_BESIDE_SCHEMAS = """\
SELECT 'PUBLICATION', pubname FROM pg_publication
UNION ALL SELECT 'EVENT TRIGGER', evtname FROM pg_event_trigger
UNION ALL SELECT 'FOREIGN DATA WRAPPER', fdwname FROM pg_foreign_data_wrapper"""


def _reset(session: Session, name: str) -> None:
    """Empty a database that is marked as ours; mark one in which there is nothing."""
    objects = [described for (described,) in session.execute(_OBJECTS.encode()).fetchall()]
    if objects and not one_row(session, f"SELECT to_regnamespace({sql.literal(_MARKED)})")[0]:
        more = f" and {len(objects) - 3} more" if len(objects) > 3 else ""
        raise ShadowUnreachable(
            name,
            f"it is not empty ({', '.join(objects[:3])}{more}), so it is not emptied",
            "Name a database that holds nothing, or drop what it holds.",
        )
    for what, named in session.execute(_BESIDE_SCHEMAS.encode()).fetchall():
        text = sql.compose(
            "DROP {what} IF EXISTS {name} CASCADE", what=sql.keyword(what), name=sql.ident(named)
        )
        session.execute(text.encode())
    for (schema,) in session.execute(_SCHEMAS.encode()).fetchall():
        drop_tables(session, schema)
        session.execute(sql.compose("DROP SCHEMA {s} CASCADE", s=sql.ident(schema)).encode())
    session.execute(f"CREATE SCHEMA public; CREATE SCHEMA {_MARKED}".encode())
