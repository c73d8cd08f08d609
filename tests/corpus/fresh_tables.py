"""Run inside a project: make every table straight from today's models, past all migrations."""

from django.apps import apps
from django.db import connection

made = set()
with connection.schema_editor(atomic=False) as editor:
    for model in apps.get_models():
        meta = model._meta
        ours = meta.app_label == "zanith_django"
        if not ours and meta.can_migrate(connection) and meta.db_table not in made:
            made.add(meta.db_table)
            editor.create_model(model)
