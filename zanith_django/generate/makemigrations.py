"""Django's makemigrations: its planned output, its questions, and its run."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.management import call_command, get_commands, load_command_class
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration as DjangoMigration
from django.db.migrations.operations import DeleteModel, RemoveField
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

from zanith_django.exceptions import CannotWrite, NoTerminal, RenameUnanswered
from zanith_django.timeline.states import RecordingState
from zanith_django.timeline.timeline import django_order, load_django

NAME = "makemigrations"


@dataclass(frozen=True, slots=True)
class Missing:
    """The output of makemigrations, and the renames that it would ask about first."""

    migrations: tuple[DjangoMigration, ...] = ()
    renames: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        return sorted({migration.app_label for migration in self.migrations})


def missing_django_migrations(labels: Collection[str]) -> Missing:
    """The missing migrations of these apps; as in Django, an app without a migrations package has
    none. If a project has a makemigrations of its own, which may ignore some changes, its result
    counts.
    """
    own = get_commands()[NAME] != "django.core"
    command = load_command_class(get_commands()[NAME], NAME) if own else None
    detector_class = getattr(command, "autodetector", MigrationAutodetector)
    loader, questions = load_django(None), _Questions()
    detector = detector_class(_state_of(loader), ProjectState.from_apps(apps), questions)
    changes = detector.changes(graph=loader.graph, trim_to_apps=set(labels))
    found = {label: changes[label] for label in labels if label in changes}
    if command:
        found = {label: each for label, each in found.items() if _would_write(label)}
    migrations = tuple(migration for each in found.values() for migration in each)
    return Missing(migrations, tuple(questions.left_open(migrations)))


def _state_of(loader: MigrationLoader) -> RecordingState:
    """The state after all migrations. Django's own changes the fields of their operations in place
    when a field is renamed: who reads the history afterwards would find the new name in it."""
    state = RecordingState(real_apps=loader.unmigrated_apps)
    for key in django_order(loader):
        loader.graph.nodes[key].mutate_state(state, preserve=False)
    return state


def _would_write(label: str) -> bool:
    """Does the project's own command find changes in this app?"""
    options: dict[str, Any] = {"check_changes": True, "dry_run": True, "interactive": False}
    output = io.StringIO()
    try:
        with redirect_stdout(output):
            call_command(NAME, label, **options, verbosity=0, stdout=output, stderr=output)
    except SystemExit as error:
        return bool(error.code)
    return False


def make_django_migrations(
    missing: Missing, name: str, *, interactive: bool, output: object, verbosity: int = 1
) -> None:
    """Runs makemigrations for the apps whose models have changed. Raises `RenameUnanswered`,
    `NoTerminal` and `CannotWrite`."""
    if missing.renames and not interactive:
        raise RenameUnanswered(missing.renames, missing.labels)
    options = {"name": name} if name else {}
    words = (NAME, *missing.labels)
    try:
        call_command(*words, interactive=interactive, stdout=output, verbosity=verbosity, **options)
    except SystemExit as error:
        if interactive:  # a user chose to leave
            raise
        raise NoTerminal(missing.labels) from error
    except OSError as error:
        raise CannotWrite(error.filename, error) from error


class _Questions(MigrationQuestioner):
    """Answers no to every rename, and records the question."""

    def __init__(self) -> None:
        super().__init__(dry_run=True)
        self.fields: dict[tuple[str, str], str] = {}
        self.models: dict[tuple[str, str], str] = {}

    def ask_rename(
        self, model_name: str, old_name: str, new_name: str, field_instance: object
    ) -> bool:
        self.fields[model_name.lower(), old_name] = new_name
        return False

    def ask_rename_model(self, old_model_state: ModelState, new_model_state: ModelState) -> bool:
        key = (old_model_state.app_label, old_model_state.name.lower())
        self.models[key] = new_model_state.name
        return False

    def left_open(self, migrations: Iterable[DjangoMigration]) -> Iterator[str]:
        """The questions about objects that these migrations remove."""
        for migration in migrations:
            label = migration.app_label
            for operation in migration.operations:
                if isinstance(operation, RemoveField):
                    model, name = operation.model_name_lower, operation.name
                    new, old = self.fields.get((model, name)), f"{label}.{model}.{name}"
                elif isinstance(operation, DeleteModel):
                    new = self.models.get((label, operation.name_lower))
                    old = f"model {label}.{operation.name}"
                else:
                    continue
                if new:
                    yield f"{old} to {new}"
