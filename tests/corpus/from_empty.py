"""Run inside a project: make its whole schema by zanith's own operations, past all migrations."""

import io
import json
import os
import sys
import time
from pathlib import Path

from django.apps import apps
from django.core.management import call_command
from django.db.models.signals import post_migrate, pre_migrate
from django.test.utils import override_settings

from zanith_django.files.files import load_all

folder = Path(os.environ["ZANITH_FILES"])
sys.path.insert(0, str(folder))
# Receivers reckon with tables that are not there yet, or change them: only zanith is to be seen.
pre_migrate.receivers.clear()
post_migrate.receivers.clear()
labels = [config.label for config in apps.get_app_configs() if config.label != "zanith_django"]
for label in labels:
    (folder / "from_empty" / label).mkdir(parents=True)
    (folder / "from_empty" / label / "__init__.py").touch()
modules = {label: f"from_empty.{label}" for label in labels}
seconds, said = {}, io.StringIO()
allowed = ("--max-risk", "100", "--allow-destructive", "--no-input")
with override_settings(
    MIGRATION_MODULES=dict.fromkeys(labels),
    ZANITH={"APPS": labels, "MIGRATION_MODULES": modules, "MODE": "development"},
):
    for name, arguments in (("generate", ("--from", "empty")), ("apply", allowed)):
        began = time.perf_counter()
        call_command(f"zanith_{name}", *arguments, stdout=said)
        seconds[name] = time.perf_counter() - began
    diff = io.StringIO()
    try:
        call_command("zanith_diff", "models", "live", "--format", "json", stdout=diff)
    except Exception as error:
        print(error, file=sys.stderr)
    migrations = load_all()
found = {
    "seconds": seconds,
    "files": len(migrations),
    "operations": sum(len(migration.operations) for migration in migrations),
    "diff": json.loads(diff.getvalue()),
}
print(json.dumps(found))
