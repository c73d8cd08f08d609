"""The states of the models at each point of the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.migrations.state import ProjectState, StateApps

from zanith_django.exceptions import InconsistentRecord
from zanith_django.timeline.timeline import Key, Timeline, django_order, dotted


class RenderedApps(StateApps):
    """The models of a state. Django empties the caches of all registries after each model that it
    renders, and then searches the project's own registry for each foreign key: a thousand models
    take three times as long. This class empties the caches once, after the last model."""

    def clear_cache(self) -> None:
        if self.ready:
            super().clear_cache()


class States:
    """Django's project state as it moves along the timeline; built at its first use."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._state: ProjectState | None = None
        self._applied: set[Key] = set()

    @property
    def current(self) -> ProjectState:
        """The state after every applied migration, in the order of Django's plan."""
        if self._state is None:
            loader = self.timeline.loader
            state = ProjectState(real_apps=loader.unmigrated_apps)
            for key in django_order(loader):
                if key in loader.applied_migrations:
                    try:
                        state = self.timeline.django(key).mutate_state(state, preserve=False)
                    except LookupError as error:
                        raise self._inconsistent(key) or error from error
                    self._hold(key)
            self._state = state
        return self._state

    def refuse_gap(self) -> None:
        """Raises `InconsistentRecord` if Django's record lacks what a recorded migration needs."""
        loader = self.timeline.loader
        for key in django_order(loader):
            if key in loader.applied_migrations and (gap := self._inconsistent(key)):
                raise gap

    def _inconsistent(self, key: Key) -> InconsistentRecord | None:
        loader = self.timeline.loader
        parents = [(label, name) for label, name in loader.graph.forwards_plan(key)]
        missing = [parent for parent in parents if parent not in loader.applied_migrations]
        return InconsistentRecord(dotted(key), dotted(missing[0])) if missing else None

    def rendered(self) -> Any:
        """The models of the current state."""
        render_state(self.current)
        return self.current.apps

    def advance(self, keys: Sequence[Key]) -> None:
        """Moves the state past migrations that did not run through it."""
        if self._state is None or not keys:
            return
        # Django would update rendered classes at every step; rendering again is cheaper.
        self._state.__dict__.pop("apps", None)
        self._state = self._moved(self._state, keys)
        for key in keys:
            self._hold(key)

    def after(self, keys: Sequence[Key]) -> ProjectState:
        """The state after these migrations too; the current one stays as it is."""
        now = self.current
        copied = ProjectState({k: model.clone() for k, model in now.models.items()}, now.real_apps)
        return self._moved(copied, keys)

    def before(self, key: Key) -> ProjectState:
        """The state just before a migration that is about to run; one file may cover several."""
        now = self.current
        missing = [other for other in self.timeline.before(key) if not self._holds(other)]
        return self.after(missing) if missing else now.clone()

    def _moved(self, state: ProjectState, keys: Sequence[Key]) -> ProjectState:
        """`state` after those of the migrations that exist and are not in it yet."""
        known = (self.timeline.in_effect(key) for key in keys)
        for migration in dict.fromkeys(filter(None, known)):
            if not self._holds((migration.app_label, migration.name)):
                state = migration.mutate_state(state, preserve=False)
        return state

    def _hold(self, key: Key) -> None:
        self._applied.add(key)
        migration = self.timeline.in_effect(key)
        if migration:
            known = (migration.app_label, migration.name)
            self._applied.update((known, *self.timeline.replaced(known)))

    def _holds(self, key: Key) -> bool:
        """Does the state contain the migration, or all that it replaces, if it is a squash?"""
        parts = self.timeline.replaced(key)
        return key in self._applied or bool(parts and self._applied.issuperset(parts))

    def taken(self) -> ProjectState:
        """A copy for running operations. It takes the rendered models away from the current state,
        because operations change them irreversibly."""
        state = self.current
        rendered = state.__dict__.pop("apps", None)
        copied = state.clone()
        if rendered:
            copied.apps = rendered
        return copied

    def passed(self, key: Key, state: ProjectState) -> None:
        """Records that Django ran this migration, which resulted in this state."""
        self._state = state
        self._hold(key)


def render_state(state: ProjectState) -> None:
    """Django renders once, before the first migration, and keeps the classes up to date."""
    if "apps" not in state.__dict__:
        state.apps = RenderedApps(sorted(state.real_apps), state.models)
        state.is_delayed = False


def render_whole(state: ProjectState) -> None:
    """Render all models, as Django does before it runs Python. After a change that it delays,
    Django renders every model again, also those of apps without migrations, which never change."""
    render_state(state)
    if state.is_delayed:
        state.reload_models(list(state.models))
        state.is_delayed = False
