"""The models that receivers of post_migrate are given are those that `migrate` would give them."""

from __future__ import annotations

from django.apps import apps as registry
from django.apps.registry import Apps
from django.db.migrations.state import ModelState, ProjectState
from django.test import override_settings

from zanith_django.run.django_signals import FinalModels
from zanith_django.timeline.historical import States
from zanith_django.timeline.timeline import build, load_django


def as_migrate_gives(state: ProjectState) -> Apps:
    """In two steps, as Django's own command: first without relations of apps without migrations."""
    models = state.apps
    with models.bulk_update():
        keys = [(each.app_label, each.name_lower) for each in models.real_models]
        for key in keys:
            models.unregister_model(*key)
    models.render_multiple([ModelState.from_model(registry.get_model(*key)) for key in keys])
    return models


def told(models: Apps) -> dict[str, dict[str, list[tuple[str, str, str]]]]:
    """{app: {model: its fields, with what they point at}}."""
    return {
        config.label: {
            model.__name__: [
                (field.name, type(field).__name__, str(field.related_model))
                for field in model._meta.get_fields()
            ]
            for model in config.get_models(include_auto_created=True)
        }
        for config in models.get_app_configs()
    }


@override_settings(MIGRATION_MODULES={"reviews": None, "messages": None})
def test_the_final_models_are_those_of_migrate() -> None:
    states = States(build(load_django(None), []))
    states._state = states.timeline.loader.project_state()
    final = FinalModels(states)
    for _ in range(20):  # some before their time, as while the server works
        next(final)
    ours = told(final.whole())
    assert ours == told(as_migrate_gives(states.timeline.loader.project_state()))
    assert ours["reviews"]
    assert ours["messages"] == {}


@override_settings(MIGRATION_MODULES={"messages": None})
def test_the_final_models_are_those_after_the_last_migration() -> None:
    """Which has not run when they are begun; the state that it runs on stays as it is."""
    whole = States(build(load_django(None), []))
    whole._state = whole.timeline.loader.project_state()
    states = States(build(load_django(None), []))
    loader = states.timeline.loader
    last = loader.graph.leaf_nodes("reviews")[0]
    parents = [node.key for node in loader.graph.node_map[last].parents]
    others = [key for key in loader.graph.leaf_nodes() if key != last]
    states._state = loader.project_state([*parents, *others])
    before = {k: list(m.fields) for k, m in states._state.models.items()}

    ours = told(FinalModels(states, [last]).whole())

    assert ours == told(FinalModels(whole).whole())
    assert before == {k: list(m.fields) for k, m in states._state.models.items()}
    assert ours != told(FinalModels(states).whole())
