"""What a database is, from its catalogs: whatever differs between two of these was changed."""

from __future__ import annotations

from tests.database.place import Connection

# Of pg_class what no vacuum changes; every other catalog as it is.
_CLASSES = """\
SELECT 'pg_class ' || row(oid, relname, relnamespace, reltype, relowner, relfilenode, relkind,
    relpersistence, relispartition, relnatts, relchecks, relhasindex, relhasrules, relhastriggers,
    relhassubclass, relrowsecurity, relforcerowsecurity, relreplident, relacl, reloptions)::text
FROM pg_class"""
_CATALOGS = (
    "pg_namespace pg_attribute pg_attrdef pg_constraint pg_index pg_inherits pg_trigger pg_rewrite "
    "pg_policy pg_proc pg_type pg_enum pg_operator pg_opclass pg_collation pg_cast pg_sequence "
    "pg_extension pg_description pg_depend pg_shdepend pg_statistic_ext pg_publication "
    "pg_publication_rel pg_event_trigger pg_default_acl pg_roles pg_auth_members "
    "pg_db_role_setting pg_sequences"
)


def fingerprint(connection: Connection) -> set[str]:
    """A line for every row of the catalogs that says what is there, and for its sequences."""
    parts = [_CLASSES]
    parts += [f"SELECT '{name} ' || c::text FROM {name} AS c" for name in _CATALOGS.split()]
    rows = connection.execute(" UNION ALL ".join(parts).encode()).fetchall()
    databases = connection.execute("SELECT datname, datdba, datacl::text FROM pg_database")
    return {line for (line,) in rows} | set(map(str, databases.fetchall()))
