"""A project whose role has few rights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.copies import Copy
from tests.project import Project
from tests.servers import Database, Server
from tests.verify.test_shadows import with_a_release


def modest_role(shop: Project) -> str:
    return f"modest_{shop.database.name}"


@pytest.fixture
def modest(server: Server, copy_of: Copy) -> Iterator[Project]:
    """A project whose role owns its database and may create none."""
    shop = copy_of(with_a_release).project
    role = modest_role(shop)
    shop.sql(f'CREATE ROLE "{role}" LOGIN')
    shop.sql(f'ALTER DATABASE "{shop.database.name}" OWNER TO "{role}"')
    shop.sql(
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' "
        f"AND relnamespace = 'public'::regnamespace LOOP EXECUTE format('ALTER TABLE %s OWNER TO "
        f'"{role}"\', t); END LOOP; END $$'
    )
    shop.sql(f'ALTER SCHEMA public OWNER TO "{role}"')
    parts = urlsplit(shop.database.url)
    netloc = f"{role}@{parts.netloc.rpartition('@')[2]}"
    yield replace(
        shop, database=Database(shop.database.name, urlunsplit(parts._replace(netloc=netloc)))
    )
    shop.sql(f'ALTER DATABASE "{shop.database.name}" OWNER TO CURRENT_USER')
    shop.sql(f'REASSIGN OWNED BY "{role}" TO CURRENT_USER; DROP OWNED BY "{role}"')
    shop.sql(f'DROP ROLE "{role}"')
