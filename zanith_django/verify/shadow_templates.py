"""The structure of a shadow, kept as a template database for the next run that needs the same."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.postgres import sql
from zanith_django.verify.shadow_names import (
    TEMPLATE,
    Session,
    checksum,
    drop_database,
    new_name,
    own,
)

# Every change of a structure writes rows of these catalogs in a transaction with another number.
# Statistics are written in place, and data changes none of them.
_CATALOGS = (
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_language",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_partitioned_table",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_range",
    "pg_rewrite",
    "pg_sequence",
    "pg_statistic_ext",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
)
_TABLES = " UNION ALL ".join(
    f"SELECT '{name}' AS name, count(*) AS rows, "
    f"sum(hashtextextended(xmin::text || ctid::text, 0)) AS sum FROM {name}"
    for name in _CATALOGS
)
# Only a superuser reads pg_user_mapping; pg_dump and other roles read this view of it.
_MAPPINGS = (
    "SELECT 'pg_user_mappings', count(*), sum(hashtextextended(mapping::text, 0)) "
    "FROM pg_user_mappings AS mapping"
)
_STATE = f"""\
SELECT md5(concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    current_setting('server_version_num'), string_agg(concat_ws(' ', name, rows, sum), ','
    ORDER BY name)))
FROM ({_TABLES} UNION ALL {_MAPPINGS}) AS catalogs"""

_OF = "zanith_verify template of {database}"


def structure_state(connection: BaseDatabaseWrapper) -> str:
    """Changes with every change of the structure of this database, and on no other occasion but a
    rewrite of a catalog."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE)
        found: str = cursor.fetchone()[0]
        return found


def template_of(connection: BaseDatabaseWrapper) -> str:
    """The name of the template with the structure that the live database has now."""
    key = hashlib.sha256(structure_state(connection).encode()).hexdigest()[:8]
    return f"{TEMPLATE}{key}{checksum(TEMPLATE, key)}"


def exists(session: Session, name: str) -> bool:
    found = session.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
    return found is not None


def save(session: Session, shadow: str, name: str) -> None:
    """Copy a shadow that no session uses to the template `name`, which takes the place of earlier
    ones of the same database. `session` is one on the live database."""
    unfinished = new_name()
    own(session, unfinished)
    text = "CREATE DATABASE {new} TEMPLATE {shadow}"
    made = sql.compose(text, new=sql.ident(unfinished), shadow=sql.ident(shadow))
    session.execute(made.encode())
    with suppress(psycopg.errors.DuplicateDatabase):
        _drop_earlier(session)
        parts = {"new": sql.ident(unfinished), "name": sql.ident(name)}
        renamed = sql.compose("ALTER DATABASE {new} RENAME TO {name}", **parts)
        session.execute(renamed.encode())
        words = sql.literal(_OF.format(database=session.info.dbname))
        comment = sql.compose("COMMENT ON DATABASE {name} IS {words}", words=words, **parts)
        session.execute(comment.encode())
        return
    drop_database(session, unfinished)  # another run has saved it first


def _drop_earlier(session: Session) -> None:
    query = (
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) "
        "AND pg_has_role(datdba, 'USAGE') AND shobj_description(oid, 'pg_database') = %s"
    )
    words = _OF.format(database=session.info.dbname)
    for (name,) in session.execute(query, [TEMPLATE, words]).fetchall():
        key = name.removeprefix(TEMPLATE)
        if key[8:] == checksum(TEMPLATE, key[:8]):
            with suppress(psycopg.Error):  # in use: the next run drops it
                session.execute(
                    sql.compose("DROP DATABASE IF EXISTS {name}", name=sql.ident(name)).encode()
                )
