"""Historical states, rendered model by model: those that a migration touched, and stubs for the
others. Django takes seconds to render a whole state of 1,000 connected models, and minutes to walk
the history with rendered models. So `.apps` of such a state is never used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.apps.registry import apps as global_apps
from django.conf import settings
from django.db.backends.utils import strip_quotes, truncate_name
from django.db.migrations.state import ModelState, ProjectState, StateApps
from django.db.migrations.utils import get_references, resolve_relation
from django.db.models import NOT_PROVIDED, Field, Model

from zanith_django.exceptions import UnreadableModel
from zanith_django.timeline.meta_items import named_by, names_in, with_renamed
from zanith_django.timeline.relations import (
    has_through,
    pointing_at,
    target_of,
)
from zanith_django.timeline.unstated import Key, Loose, Relation, Side, Unstated


class RecordingState(ProjectState):
    """A state that remembers which models its mutators touched, and what is true of its tables
    though its models do not say so. Mutate with `preserve=False`."""

    def __init__(
        self, models: dict[Key, ModelState] | None = None, real_apps: set[str] | None = None
    ) -> None:
        super().__init__(models, real_apps)
        self._touched: set[Key] = set()
        self.unstated: Unstated[RecordingState] = Unstated()

    @classmethod
    def of(cls, state: ProjectState) -> RecordingState:
        """A recording copy of any state; nothing is rendered."""
        copy = cls({key: model.clone() for key, model in state.models.items()}, state.real_apps)
        if isinstance(state, RecordingState):
            copy.unstated = state.unstated.copy()
        return copy

    def clone(self) -> RecordingState:
        """An exact copy that has recorded nothing yet."""
        return RecordingState.of(self)

    def take_touched(self) -> frozenset[Key]:
        """The models touched since the last call: changed, created, removed or renamed."""
        touched = frozenset(self._touched)
        self._touched.clear()
        return touched

    def add_model(self, model_state: ModelState) -> None:
        self._touched.add((model_state.app_label, model_state.name_lower))
        super().add_model(model_state)

    def remove_model(self, app_label: str, model_name: str) -> None:
        self._touched.add((app_label, model_name.lower()))
        self.unstated.forget_model((app_label, model_name.lower()))
        super().remove_model(app_label, model_name)

    def rename_model(self, app_label: str, old_name: str, new_name: str) -> None:
        old, new = (app_label, old_name.lower()), (app_label, new_name.lower())
        facts = self.unstated.renamed_model(old, new)
        super().rename_model(app_label, old_name, new_name)
        self.unstated = facts

    def remove_field(self, app_label: str, model_name: str, name: str) -> None:
        self.unstated.forget_field((app_label, model_name.lower()), name)
        super().remove_field(app_label, model_name, name)

    def alter_field(
        self,
        app_label: str,
        model_name: str,
        name: str,
        field: Field[Any, Any],
        preserve_default: bool,
    ) -> None:
        """Like Django's, which also looks for everything that points at the field, to render it
        again: half of the time in which 1,000 migrations are walked."""
        key = app_label, model_name.lower()
        old, relation = self.models[key].fields.get(name), Relation(key, name, Side.OWN)
        turned = old is not None and target_of(old, key) != target_of(field, key)
        was_loose = relation in self.unstated.loose
        wanted = not getattr(old, "db_constraint", True) and getattr(field, "db_constraint", False)
        if turned or wanted:
            self.unstated.forget_field(key, name)
        self.models[key].fields[name] = field if preserve_default else _without_default(field)
        self._relations: Any = None  # it holds the fields themselves; Django builds it when asked
        self._touched.add(key)
        if turned and was_loose and field.remote_field:  # Django retypes it, and makes no key
            self.unstated.loose[relation] = Loose(self.clone(), relation)

    def reload_model(self, app_label: str, model_name: str, delay: bool = False) -> None:
        self._touched.add((app_label, model_name.lower()))
        super().reload_model(app_label, model_name, delay)

    def reload_models(self, models: Iterable[Key], delay: bool = True) -> None:
        touched = list(models)
        self._touched.update(touched)
        super().reload_models(touched, delay)

    def forget_parts(self, key: Key, field: str) -> None:
        """Removes the constraints and indexes that contain a dropped column. Django's state keeps
        them, but a later column of that name does not bring them back."""
        options = self.models[key].options
        for option in ("constraints", "indexes"):
            items = options.get(option) or ()
            if any(field in names_in(item) for item in items):
                options[option] = [item for item in items if field not in names_in(item)]
        together = options.get("unique_together") or ()
        if any(field in names for names in together):
            options["unique_together"] = {n for n in together if field not in n}

    def rename_in_parts(self, key: Key, old: str, new: str) -> None:
        """Constraints and indexes follow a column to its new name, though Django's state keeps the
        old one in them."""
        options = self.models[key].options
        for option in ("constraints", "indexes"):
            items = options.get(option) or ()
            followed = {(key, item.name) for item in items if old in names_in(item)}
            if followed:
                options[option] = [with_renamed(item, old, new) for item in items]
                self.unstated.followed |= followed

    def rename_field(self, app_label: str, model_name: str, old_name: str, new_name: str) -> None:
        """Like Django's, which changes fields in place; here the model is cloned first, so that
        earlier states stay as they were."""
        key = app_label, model_name
        own = self.models[key].fields
        for name, field in own.items():
            if getattr(field, "from_fields", None) or getattr(field, "field_names", None):
                own[name] = field.clone()
        if old_name in own:
            for model, name, field, _ in list(get_references(self, key, (old_name, own[old_name]))):
                model.fields[name] = field.clone()
        self._relations = None
        self.unstated.rename_field(key, old_name, new_name)
        super().rename_field(app_label, model_name, old_name, new_name)

    def forget_pointers(self, key: Key, field: str | None = None) -> None:
        """A column, or a table if `field` is None, goes with the foreign keys that point at it,
        though Django's state keeps the relations: their columns stay as they are."""
        found = list(pointing_at(self, key, field))
        if found:
            before = self.clone()
            for relation in found:
                self._touched.add(relation.model)
                self.unstated.loose.setdefault(relation, Loose(before, relation))


def _without_default(field: Field[Any, Any]) -> Field[Any, Any]:
    copy = field.clone()
    copy.default = NOT_PROVIDED
    return copy


def render(state: ProjectState, keys: Iterable[Key]) -> list[type[Model]]:
    """The models of `keys` as classes with the DDL of a full render. Their bases are complete, the
    models that they reference are stubs. Swapped models and keys that the state does not have are
    left out. Raises `UnreadableModel` if a relation or base does not exist.
    """
    wanted = [key for key in dict.fromkeys(keys) if key in state.models]
    wanted = [key for key in wanted if not is_swapped(state.models[key])]
    parts = _Parts(state)
    for key in wanted:
        parts.need_whole(key)
    apps = StateApps([], {})
    apps.render_multiple(list(parts.states()))
    return [apps.get_model(*key) for key in wanted]


def is_swapped(state: ModelState) -> bool:
    """Does a setting (`AUTH_USER_MODEL`) replace this model by another one?"""
    setting = state.options.get("swappable")
    target: str = getattr(settings, setting, "") if setting else ""
    return target != "" and target.lower() != f"{state.app_label}.{state.name_lower}"


def has_own_table(state: ModelState) -> bool:
    """Do migrations create and drop a table for this model?"""
    proxy, managed = state.options.get("proxy"), state.options.get("managed", True)
    return bool(managed and not proxy and not is_swapped(state))


def db_table_of(state: ModelState, longest: int | None) -> str:
    """`db_table`, or the name that Django chooses without one, of at most `longest` characters."""
    default = truncate_name(f"{state.app_label}_{state.name_lower}", longest)
    return str(state.options.get("db_table") or default)


def tables_of(state: ModelState, longest: int | None) -> dict[str, str]:
    """`db_table` of a model under "", of its automatic many-to-many tables under their fields."""
    if not has_own_table(state):
        return {}
    own = db_table_of(state, longest)
    automatic = {
        name: str(field.db_table or truncate_name(f"{strip_quotes(own)}_{name}", longest))  # type: ignore[attr-defined]  # of many-to-many fields alone
        for name, field in state.fields.items()
        if field.many_to_many and not has_through(field)
    }
    return {"": own, **automatic}


# --- which models a render needs, and how much of each ----------------------------------------


class _Parts:
    """Collects the models to render: complete ones, and the required fields of others."""

    def __init__(self, state: ProjectState) -> None:
        self.state = state
        self.whole: dict[Key, ModelState] = {}
        self.stubs: dict[Key, set[str]] = {}

    def states(self) -> Iterator[ModelState]:
        for key, names in self.stubs.items():
            if key not in self.whole:
                yield _stub(self.state.models[key], names)
        yield from map(_readable, self.whole.values())

    def need_whole(self, key: Key) -> None:
        if key in self.whole:
            return
        model = self.whole[key] = self.model(key)
        for base in model.bases:
            if isinstance(base, str):
                self.need_base(key, resolve_relation(base, *key))
        for field in _fields(model):
            self.need_target(key, field)

    def need_base(self, heir: Key, base: Key) -> None:
        if not self.exists(base):
            raise UnreadableModel(".".join(heir), f"its base {'.'.join(base)} does not exist")
        self.need_whole(base)

    def need_target(self, source: Key, field: Field[Any, Any]) -> None:
        """The target of a relation, as far as a column that points at it depends on it."""
        if not field.remote_field or has_through(field):
            return
        target = resolve_relation(field.remote_field.model, *source)
        if not self.exists(target):
            why = f"it points at {'.'.join(target)}, which does not exist"
            raise UnreadableModel(".".join(source), why)
        if target in self.whole:
            return
        names = self.stub_fields(target, field)
        if names is None:
            self.need_whole(target)
        elif not names <= self.stubs.setdefault(target, set()):
            self.stubs[target] |= names
            for name in names:
                self.need_target(target, self.state.models[target].fields[name])

    def stub_fields(self, target: Key, field: Field[Any, Any]) -> set[str] | None:
        """Names of the fields that a stub must have; None if it must be the whole model: a proxy
        has the table of its base, a key may be inherited, a composite key has parts.
        """
        model = self.state.models.get(target)
        if model is None or model.options.get("proxy"):
            return None
        keys = {name for name, own in model.fields.items() if own.primary_key}
        names = keys | {name for name in getattr(field, "to_fields", ()) if name}
        composite = any(hasattr(model.fields[name], "field_names") for name in keys)
        return names if keys and not composite and names <= set(model.fields) else None

    def exists(self, key: Key) -> bool:
        return key[0] in self.state.real_apps or self.known(key) is not None

    def known(self, key: Key) -> ModelState | None:
        """A model of the state, or one that was deleted while relations go on pointing at it."""
        if key in self.state.models or not isinstance(self.state, RecordingState):
            return self.state.models.get(key)
        ended = (was.state.models.get(key) for was in self.state.unstated.loose.values())
        return next(filter(None, ended), None)

    def model(self, key: Key) -> ModelState:
        """For apps without migrations Django renders today's models, without their relations."""
        known = self.known(key)
        return known or ModelState.from_model(global_apps.get_model(*key), exclude_rels=True)


def _fields(model: ModelState) -> Iterator[Field[Any, Any]]:
    """The fields of a model, with those of abstract bases that a migration names as classes."""
    yield from model.fields.values()
    for base in model.bases:
        meta = getattr(base, "_meta", None)
        if meta is not None and meta.abstract:
            yield from (*meta.local_fields, *meta.local_many_to_many)


def _readable(model: ModelState) -> ModelState:
    """The model without fields that have no column and no table of their own, and without what
    names a removed field: it went with the column."""
    copy = model.clone()
    copy.fields = {name: field for name, field in model.fields.items() if not has_through(field)}
    known = _known_names(model)
    for option in ("constraints", "indexes"):
        items = model.options.get(option, ())
        copy.options[option] = [item for item in items if known.issuperset(named_by(item))]
    together = model.options.get("unique_together") or ()
    if not all(known.issuperset(names) for names in together):
        copy.options["unique_together"] = {n for n in together if known.issuperset(n)}
    return copy


def _known_names(model: ModelState) -> set[str]:
    """The names of its fields, with those that Django adds automatically."""
    links = {f"{resolve_relation(base)[1]}_ptr" for base in model.bases if isinstance(base, str)}
    inherited = {field.name for field in _fields(model) if field.name}
    return {"id", "_order", *model.fields, *links, *inherited}


def _stub(model: ModelState, names: Collection[str]) -> ModelState:
    """A model of the same table with only these fields."""
    fields = {name: field for name, field in model.fields.items() if name in names}
    options = {name: model.options[name] for name in ("db_table",) if name in model.options}
    return ModelState(model.app_label, model.name, fields, options)
