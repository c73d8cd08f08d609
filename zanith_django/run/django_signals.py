"""Django's pre_migrate and post_migrate, sent as `migrate` sends them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from django.apps import apps as registry
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db.migrations.exceptions import InvalidBasesError
from django.db.migrations.operations.base import Operation as MigrationOperation
from django.db.migrations.state import AppConfigStub, ModelState
from django.db.models.signals import pre_migrate

from zanith_django.plan.plan import Plan
from zanith_django.timeline.historical import RenderedApps, States
from zanith_django.timeline.timeline import Key

Injected = dict[str, list[MigrationOperation]]

_OWN = ("django.", "zanith_django.")


def receivers() -> list[str]:
    """The receivers of pre_migrate that may add operations to a run; not Django's own, which
    renames content types with their models."""
    found = {
        f"{receiver.__module__}.{getattr(receiver, '__qualname__', type(receiver).__qualname__)}"
        for config in registry.get_app_configs()
        for group in pre_migrate._live_receivers(config)
        for receiver in group
    }
    return sorted(name for name in found if not name.startswith(_OWN))


def send_pre_migrate(alias: str, plan: Plan, states: States, verbosity: int) -> Injected:
    """Send pre_migrate. Receivers may add operations to the migrations that they receive, such as
    the renaming of a content type with its model. Returns those that they added to migrations which
    a file of ours covers, by its id: they run at the end of that file."""
    pairs = []
    for migration in plan.migrations:
        for original in (
            states.timeline.on_disk(migration.entry.covers) if not migration.adopted else ()
        ):
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


def send_post_migrate(
    alias: str, plan: Plan, states: States, final: FinalModels | None, verbosity: int
) -> None:
    """Send post_migrate, with all models in their final state if anything ran; `final` are those
    models, if their rendering has begun already."""
    ran = [
        (original, False)
        for migration in plan.migrations
        for original in states.timeline.on_disk(migration.entry.covers)
    ]
    models = (final or FinalModels(states)).whole() if ran else registry
    emit_post_migrate_signal(verbosity, False, alias, apps=models, plan=ran)


class FinalModels(Iterator[None]):
    """The models after some more migrations, with those of apps without migrations as they are
    today, so that relations between the two are whole.

    Each step of the iterator renders one model, while the server works on the last migration:
    `zanith_apply` of 400 models to an empty database takes 20 s instead of 26 s (a busy machine
    with two cores). `whole` renders the remaining models.
    """

    def __init__(self, states: States, keys: Sequence[Key] = ()) -> None:
        self.apps = RenderedApps([], {})
        self._pieces = self._rendering(states, keys)

    def __next__(self) -> None:
        return next(self._pieces)

    def whole(self) -> RenderedApps:
        for _ in self:
            pass
        return self.apps

    def _rendering(self, states: States, keys: Sequence[Key]) -> Iterator[None]:
        state = states.after(keys)
        left = list(state.models.values())
        for label in sorted({*state.real_apps, *(label for label, _ in state.models)}):
            stub = self.apps.app_configs[label] = AppConfigStub(label)  # also without models
            stub.apps = self.apps
            stub.import_models()
            if label in state.real_apps:
                for model in registry.get_app_config(label).get_models():
                    left.append(ModelState.from_model(model))
                    yield
        with self.apps.bulk_update():
            while left:
                waiting = []
                for each in left:
                    try:
                        each.render(self.apps)
                    except InvalidBasesError:
                        waiting.append(each)
                    yield
                if len(waiting) == len(left):
                    self.apps.render_multiple(waiting)  # reports the missing bases
                left = waiting
