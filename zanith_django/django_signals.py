"""Django's pre_migrate and post_migrate, sent as `migrate` sends them."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from django.apps import apps as registry
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations.base import Operation as DjangoMigrationOperation
from django.db.migrations.state import AppConfigStub, ModelState

from zanith_django.django_steps import RenderedApps, States
from zanith_django.plan import Plan
from zanith_django.schema import collector
from zanith_django.timeline import Key

Injected = dict[str, list[DjangoMigrationOperation]]


def send_pre_migrate(alias: str, plan: Plan, states: States, verbosity: int) -> Injected:
    """Send pre_migrate. Receivers may add operations to the migrations that they are shown, such
    as the renaming of a content type with its model: what they add to migrations that a file of
    ours covers comes back, by id, to be run at the end of that file."""
    pairs = []
    for migration in plan.migrations:
        for original in _known(states, migration.entry.covers) if not migration.adopted else ():
            shown = original
            if migration.entry.migration:
                shown = copy.copy(original)
                vars(shown)["operations"] = list(original.operations)
            pairs.append((migration.id, original, shown))
    emit_pre_migrate_signal(
        verbosity,
        False,
        alias,
        apps=states.rendered() if pairs else registry,
        plan=[(shown, False) for _, _, shown in pairs],
    )
    injected: Injected = {}
    for migration_id, original, shown in pairs:
        known = set(map(id, original.operations))
        new = [operation for operation in shown.operations if id(operation) not in known]
        injected.setdefault(migration_id, []).extend(new)
    return injected


def send_post_migrate(alias: str, plan: Plan, states: States, verbosity: int) -> None:
    """Send post_migrate, with all models in their final state where anything ran."""
    ran = [
        (original, False)
        for migration in plan.migrations
        for original in _known(states, migration.entry.covers)
    ]
    models = final_apps(states) if ran else registry
    emit_post_migrate_signal(verbosity, False, alias, apps=models, plan=ran)


def _known(states: States, keys: Iterable[Key]) -> list[DjangoMigration]:
    """Those that still exist: a squash may have taken the place of some."""
    graph = states.timeline.loader.graph
    return [states.timeline.django(key) for key in keys if key in graph.nodes]


@collector.paused()
def final_apps(states: States) -> RenderedApps:
    """The state's models, those of apps without migrations as they are today, so that relations
    between the two are whole."""
    state = states.current
    models = RenderedApps([], {})
    today: list[ModelState] = []
    for label in sorted({*state.real_apps, *(label for label, _ in state.models)}):
        stub = models.app_configs[label] = AppConfigStub(label)  # also where it has no model
        stub.apps = models
        stub.import_models()
        if label in state.real_apps:
            today += map(ModelState.from_model, registry.get_app_config(label).get_models())
    models.render_multiple([*state.models.values(), *today])
    return models
