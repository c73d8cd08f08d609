"""What a database is, from its catalogs: whatever differs between two of these was changed.

Other tests make databases and roles of the same server at the same time: those are left out.
"""

from __future__ import annotations

from tests.place import Connection

# Of pg_class what no vacuum changes; every other catalog as it is.
_CLASSES = """\
SELECT 'pg_class ' || row(oid, relname, relnamespace, reltype, relowner, relfilenode, relkind,
    relpersistence, relispartition, relnatts, relchecks, relhasindex, relhasrules, relhastriggers,
    relhassubclass, relrowsecurity, relforcerowsecurity, relreplident, relacl, reloptions)::text
FROM pg_class"""
_CATALOGS = (
    "pg_namespace pg_attribute pg_attrdef pg_constraint pg_index pg_inherits pg_trigger pg_rewrite "
    "pg_policy pg_proc pg_type pg_enum pg_operator pg_opclass pg_collation pg_cast pg_sequence "
    "pg_extension pg_description pg_depend pg_statistic_ext pg_publication pg_publication_rel "
    "pg_event_trigger pg_default_acl pg_sequences"
)
_SHARED = """\
SELECT 'pg_database ' || row(d.oid, d.datname, d.datdba, d.datacl)::text
FROM pg_database d WHERE d.datname = current_database()
UNION ALL
SELECT 'pg_shdepend ' || s::text
FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
UNION ALL
SELECT 'pg_db_role_setting ' || s::text
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
WHERE d.datname = current_database()"""


def fingerprint(connection: Connection) -> set[str]:
    """A line for every row of the catalogs that says what is there, and for its sequences."""
    parts = [_CLASSES, _SHARED]
    parts += [f"SELECT '{name} ' || c::text FROM {name} AS c" for name in _CATALOGS.split()]
    rows = connection.execute(" UNION ALL ".join(parts).encode()).fetchall()
    return {line for (line,) in rows}
