"""The database of an operation, by the routers of the project."""

from __future__ import annotations

from django.apps import apps
from django.db import router
from django.db.models import Model

from zanith_django.operations.base import Operation


def is_for(alias: str, operation: Operation, app_label: str) -> bool:
    """Do routers give the operation of a file in `app_label` to the database `alias`?

    For an operation without a model, the routers are asked about its app, as Django does for a
    RunSQL. Operations that Django's own code runs always return True: Django asks the routers
    itself, with their hints.
    """
    if operation.runs:
        return True
    named = str(getattr(operation, "model", ""))
    label, _, name = named.partition(".")
    if not name:
        return bool(router.allow_migrate(alias, app_label))
    model = _model(label, name)
    if model is None:
        return bool(router.allow_migrate(alias, label, model_name=name.lower()))
    return bool(router.allow_migrate_model(alias, model))


def _model(label: str, name: str) -> type[Model] | None:
    """The current model, if there is one; for a many-to-many table the model that has the field,
    since Django makes the one with the other."""
    try:
        model = apps.get_model(label, name)
    except LookupError:
        return None
    made_for = model._meta.auto_created
    return made_for if isinstance(made_for, type) else model
