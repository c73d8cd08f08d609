"""Django migrations over the same first one, and the verdict on each."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.test import override_settings

from tests.migration_texts import IMPORTS, ITEM_FIELDS
from tests.plan.cases import Case
from tests.plan.code_cases import PYTHON, RAW
from tests.plan.column_cases import COLUMNS, SAFE
from tests.plan.object_cases import OTHERS
from zanith_django.timeline.timeline import Timeline, build, load_django

HEADER = f"""{IMPORTS}
KEY = models.BigAutoField(primary_key=True)
"""

FIRST = (
    """
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Parent", [("id", KEY), ("code", models.IntegerField(null=True))]),
        migrations.CreateModel("Item", ["""
    + ITEM_FIELDS
    + """
            ("tags", arrays.ArrayField(models.CharField(max_length=10), null=True)),
            ("parent", models.ForeignKey("{app}.Parent", CASCADE, null=True)),
        ]),
        migrations.AddIndex("Item", models.Index(fields=["rank"], name="{app}_rank")),
    ]
"""
)

SECOND = """
class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("{app}", "0001_initial")]
    operations = [
{operations}
    ]
"""


CASES = (*SAFE, *COLUMNS, *OTHERS, *RAW, *PYTHON)


def write(folder: Path, cases: Iterable[Case] = CASES) -> None:
    """Each case as an app under `folder`."""
    for case in cases:
        migrations = folder / case.app / "migrations"
        migrations.mkdir(parents=True)
        (folder / case.app / "__init__.py").touch()
        (migrations / "__init__.py").touch()
        (migrations / "0001_initial.py").write_text(HEADER + FIRST.replace("{app}", case.app))
        operations = re.sub(r"\bT\b", "{app}_item", f"        {case.operations},")
        text = HEADER + "\n\n" + case.code + SECOND
        filled = text.replace("{operations}", operations).replace("{atomic}", str(case.atomic))
        filled = filled.replace("{app}", case.app).replace("{{", "{").replace("}}", "}")
        (migrations / "0002_case.py").write_text(filled)


@contextmanager
def timeline_of(folder: Path) -> Iterator[Timeline]:
    """The timeline of all cases, which are apps under `folder` meanwhile."""
    write(folder)
    sys.path.insert(0, str(folder))
    with override_settings(INSTALLED_APPS=[case.app for case in CASES]):
        yield build(load_django(None), [])
    sys.path.remove(str(folder))
