"""The line of a model that declared a column before it was dropped, from the migrations."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.writer import MigrationWriter

from zanith_django.exceptions import ZanithError
from zanith_django.ledger.artifacts import ArtifactRow
from zanith_django.operations.keep.kept import Restore
from zanith_django.timeline.project import read_timeline
from zanith_django.timeline.timeline import key_of


def field_of(connection: BaseDatabaseWrapper, artifact: ArtifactRow, operation: Restore) -> str:
    """`name = models.TextField(default="")`; "" if no migration has the field."""
    timeline, (restored,) = read_timeline(connection), operation.restored.columns
    try:
        covers = timeline.find(artifact.migration_id).covers
    except ZanithError:
        return ""
    nodes = timeline.resolved([key_of(f"{label}.{name}") for label, name in covers[:1]])
    if not nodes:
        return ""
    state = timeline.loader.project_state(nodes[0], at_end=False)
    for model in state.models.values():
        table = model.options.get("db_table") or f"{model.app_label}_{model.name_lower}"
        for name, field in model.fields.items() if table == artifact.source_table else ():
            field.set_attributes_from_name(name)
            if field.column == restored.name:
                return f"{name} = {MigrationWriter.serialize(field)[0]}"
    return ""
