"""Tablespaces on a shadow: those of the live objects, if the shadow's server has them and its role
may use them; everything else is in the default one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from typing import Any

from zanith_django.schema.graph import SchemaGraph, Table
from zanith_django.verify.shadow_names import Session

_USABLE = "SELECT spcname FROM pg_tablespace WHERE has_tablespace_privilege(oid, 'CREATE')"

# pg_dump writes it before the comment of an entry, so that it ends the text of the one before.
_AT_END = re.compile(
    r"^SET default_tablespace = (.+);$(?=\s*(?:SET default_table_access_method = .+;\s*)?\Z)",
    re.MULTILINE,
)


def usable(session: Session) -> frozenset[str]:
    """The tablespaces in which the role of the session may create objects."""
    return frozenset(name for (name,) in session.execute(_USABLE.encode()).fetchall())


def of_dump(entries: Sequence[str], known: Collection[str]) -> list[str]:
    """The entries of a dump, each in a tablespace that is known or in the default one."""

    def setting(found: re.Match[str]) -> str:
        name = found[1].strip('"').replace('""', '"')
        return found[0] if name in known else "SET default_tablespace = '';"

    return [_AT_END.sub(setting, entry) for entry in entries]


def of_graph(graph: SchemaGraph, known: Collection[str]) -> SchemaGraph:
    """The graph with the known tablespaces alone."""
    return dataclasses.replace(graph, tables=tuple(_placed(table, known) for table in graph.tables))


def _placed(table: Table, known: Collection[str]) -> Table:
    def placed(item: Any) -> Any:
        if item is None or not item.tablespace or item.tablespace in known:
            return item
        return dataclasses.replace(item, tablespace="")

    parts = {
        "primary_key": placed(table.primary_key),
        "uniques": tuple(map(placed, table.uniques)),
        "indexes": tuple(map(placed, table.indexes)),
    }
    found: Table = dataclasses.replace(placed(table), **parts)
    return found
