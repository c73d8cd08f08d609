"""Types that extensions add: how the driver of a session learns to write and read them."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres import signals
from django.db.backends.base.base import BaseDatabaseWrapper


def learn_types(connection: BaseDatabaseWrapper) -> None:
    """Registers the types of extensions that this session did not know when it began, as Django's
    CreateExtension does after it has made one."""
    cached: tuple[Any, ...] = (signals.get_hstore_oids, signals.get_citext_oids)
    for oids in cached:
        oids.cache_clear()
    signals.register_type_handlers(connection)
    register_geometry = getattr(connection, "register_geometry_adapters", None)
    if register_geometry:
        register_geometry(connection.connection, True)
