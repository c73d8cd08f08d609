"""The effects of a Python function of a migration on rows, read from its syntax tree. Functions
that it calls by name are read too. Code that cannot be read is reported, because unknown effects
never count as safe.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any

from zanith_django.plan.effects import calls, orm_names as orm
from zanith_django.plan.effects.queried import AlsoChanged, Given, Rows, TableOf
from zanith_django.plan.effects.sources import (
    UNSEEN,
    function_of,
    imported,
    is_library,
    is_management,
    is_model,
    methods_of,
    overridden,
    title_of,
    tree_of,
)
from zanith_django.plan.effects.statements import effects, unreadable_code
from zanith_django.plan.effects.texts import choices_of, constant_text, without_parameters
from zanith_django.plan.effects.values import Effect, Scene, on_rows
from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import SchemaGraph

_DEPTH = 4


def python_effects(
    code: Any, scene: Scene, table_of: TableOf, also_changed: AlsoChanged
) -> tuple[tuple[Effect, ...], SchemaGraph]:
    """The effects of a function of a migration, and the schema after it."""
    reader = _Reader(scene, table_of, also_changed)
    reader.read(code, _DEPTH)
    return tuple(reader.found), reader.scene.graph


@dataclass(slots=True)
class _Reader:
    scene: Scene
    table_of: TableOf
    also_changed: AlsoChanged
    found: list[Effect] = field(default_factory=list)
    seen: set[Any] = field(default_factory=set)

    def read(self, code: Any, depth: int, given: Given | None = None) -> None:
        """One function, and those that it calls; `given` are rows and texts of its arguments."""
        function = function_of(code)
        tree = tree_of(function) if function else None
        if function is None or tree is None:
            self.note("python_code", title=title_of(code))
            return
        call = (function.__code__, frozenset((given or {}).items()))
        if call in self.seen:
            return
        self.seen.add(call)
        try:
            _Function(self, function, depth, given or {}, getattr(code, "__self__", None)).read(
                tree
            )
        except Exception:  # code of the project may define any name
            self.note("python_code", title=title_of(code))

    def note(
        self,
        code: str,
        table: TableName | None = None,
        *,
        title: str = "",
        works: bool = True,
        sets: tuple[str, ...] = (),
    ) -> None:
        """One finding, as `on_rows` has it."""
        effect = on_rows(code, table, title=title, works=works, sets=sets)
        if effect not in self.found:
            self.found.append(effect)

    def run(self, text: str | None, *, drops: bool = False) -> None:
        """SQL that the function executes; None if its text is not known, and it may drop if a
        part of it does."""
        if text is None:
            self.note("raw_sql")
            if drops:
                self.note("may_drop")
            return
        here = self.scene.after(self.found, self.scene.graph)
        known, graph = effects(without_parameters(text), here)
        self.found += known
        self.scene = here.after(known, graph)


class _Function:
    """Reads the body of one function, in the order of the text."""

    def __init__(
        self,
        reader: _Reader,
        function: FunctionType,
        depth: int,
        given: Given,
        owner: Any,
    ) -> None:
        self.reader, self.function, self.depth, self.owner = reader, function, depth, owner
        names = function.__code__.co_varnames
        places: dict[int | str, str] = dict(enumerate(names))
        named = {places.get(place, str(place)): each for place, each in given.items()}
        self.rows = {name: each for name, each in named.items() if isinstance(each, Rows)}
        self.texts = {name: each for name, each in named.items() if isinstance(each, str)}
        self.attributes: dict[str, str] = {}
        self.drops = False
        self.choices: dict[str, list[str]] = {}
        self.imports: dict[str, Any] = {}
        self.assigned: tuple[str, ...] = ()

    def read(self, tree: ast.AST) -> None:
        self.assigned = tuple(calls.assigned_columns(tree))
        self.drops = calls.names_drop(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._imported(node)
        # Twice: a loop may use what is assigned later, and a name may be assigned several times.
        for node in calls.in_order(tree):
            self._learn(node)
        self.choices = choices_of(tree, self._text)
        for node in calls.in_order(tree):
            self._learn(node)
            if isinstance(node, ast.Call):
                self._call(node)
            for each in calls.deferred_by(node):
                self.reader.run(self._text(each))
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        for node in attributes:
            if id(node) not in called and node.attr in orm.STRONG:
                self._unreadable(node.attr)  # under another name, or called by other code

    # --- names -----------------------------------------------------------------------------------

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = [*node.targets] if isinstance(node, ast.Assign) else [node.target]
            self._bind(targets, node.value)
            return
        target = getattr(node, "target", None)
        if isinstance(node, ast.For | ast.comprehension) and isinstance(target, ast.Name):
            rows = self._rows(node.iter)
            self.rows |= {target.id: Rows(rows.table, rows.limited, looped=True)} if rows else {}

    def _bind(self, targets: Iterable[ast.AST], value: ast.expr) -> None:
        rows, text = self._rows(value), self._text(value)
        for target in targets:
            if isinstance(target, ast.Name):
                if rows:
                    self.rows[target.id] = rows
                if text is not None:
                    self.texts[target.id] = text
                if isinstance(value, ast.Attribute):
                    self.attributes[target.id] = value.attr

    def _imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """What is imported inside of the function: a model of today, a module, a function."""
        source = getattr(node, "module", "") or ""
        for alias in node.names:
            name = alias.asname or alias.name
            if isinstance(node, ast.Import):
                self.imports[name] = imported(alias.name)
                continue
            self.imports[name] = found = imported(source, alias.name)
            if is_model(found) or (found is UNSEEN and source.endswith(".models")):
                self._real_model(name, found if found is not UNSEEN else None)

    def _real_model(self, name: str, model: Any) -> None:
        self.reader.note("imports_models", title=f"imports {name}", works=False)
        table = self._table_of(model) if model is not None else None
        self.rows[name] = Rows(table)

    def _table_of(self, model: Any) -> TableName | None:
        return self.reader.table_of(model._meta.app_label, model._meta.model_name)

    # --- rows ------------------------------------------------------------------------------------

    def _rows(self, node: ast.expr) -> Rows | None:
        """The rows that an expression selects; None if it selects none."""
        if isinstance(node, ast.Name):
            if node.id in self.rows:
                return self.rows[node.id]
            found = self._global(node.id)
            if is_model(found):
                self._real_model(node.id, found)
                return self.rows[node.id]
            return None
        if isinstance(node, ast.Attribute):
            return self._rows(node.value)
        if isinstance(node, ast.Subscript):
            rows = self._rows(node.value)
            return rows and Rows(rows.table, True, rows.looped)
        if isinstance(node, ast.Call):
            return self._called(node)
        return None

    def _called(self, node: ast.Call) -> Rows | None:
        name = calls.called_name(node)
        if name == "get_model":
            return Rows(self._historical(node))
        if not isinstance(node.func, ast.Attribute):
            # list(queryset), tqdm(queryset), Model(...)
            inner = node.func if isinstance(node.func, ast.Name) else None
            if inner and (rows := self._rows(inner)):
                return Rows(rows.table, True, new=True)
            return self._rows(node.args[0]) if node.args else None
        rows = self._rows(node.func.value)
        if rows and name in orm.LIMITS and (node.args or node.keywords or name not in orm.FILTERS):
            return Rows(rows.table, True, rows.looped)
        return rows

    def _historical(self, node: ast.Call) -> TableName | None:
        given = [constant_text(each, self.texts) for each in node.args]
        given += [constant_text(each.value, self.texts) for each in node.keywords]
        named = [each for each in given if each]
        if len(named) == 1 and "." in named[0]:
            named = named[0].split(".")
        return self.reader.table_of(*named) if len(named) == 2 else None

    # --- calls -----------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> None:
        name = calls.called_name(node)
        if name == "sleep":
            self.reader.found.append(Effect("-- Python: sleep()", titled=True, waits=True))
        elif isinstance(node.func, ast.Attribute):
            self._method(node.func.value, name, node)
        elif isinstance(node.func, ast.Name):
            self._named(name, node)
        elif isinstance(node.func, ast.Call) and (found := calls.looked_up(node.func, self._text)):
            self._method(node.func.args[0], found, node)
        elif isinstance(node.func, ast.Call) and self._hands_on(node.func):
            self._unreadable(calls.called_name(node.func))  # a function that a call made or found

    def _executed(self, node: ast.Call) -> None:
        given = node.args[0] if node.args else None
        if isinstance(given, ast.Name) and given.id in self.choices:
            for text in self.choices[given.id]:
                self.reader.run(text)
            self.choices[given.id] = []
            return
        self.reader.run(self._text(given) if given else None, drops=self.drops)

    def _method(self, receiver: ast.expr, name: str, node: ast.Call) -> None:
        rows = self._rows(receiver)
        if name in ("execute", "executemany") or calls.is_deferred(receiver):
            self._executed(node)
        elif name in orm.EDITOR or name in orm.UNREADABLE:
            self._unreadable(name, node)
        elif name in orm.COPIES:
            self._copied(node)
        elif rows is None and (method := self._own_method(receiver, name)):
            self._run_own(method, name, node)
        elif rows is None:
            module = self._global(receiver.id) if isinstance(receiver, ast.Name) else None
            if module is UNSEEN or isinstance(module, ModuleType):
                self._function(getattr(module, name, module), name, node)
            else:
                self._on_unknown(receiver, name, node)
        elif name == "raw":
            self._executed(node)
        elif name in orm.REMOVES and (gone := self._related(receiver, rows, name)):
            self._deleted(gone)
        else:
            self._on_rows(rows, calls.meant(name, node), node)

    def _run_own(self, method: Any, name: str, node: ast.Call) -> None:
        """Another method of the same class. What Django's operations do is read elsewhere."""
        if isinstance(method, FunctionType) and is_library(method):
            return
        if isinstance(method, FunctionType) and self.depth:
            self.reader.read(MethodType(method, self.owner), self.depth - 1)
        elif self._hands_on(node):
            self.reader.note("python_code", title=name)

    def _copied(self, node: ast.Call) -> None:
        """COPY of a cursor, or a procedure; a list and a dictionary have a `copy()` too."""
        text = self._text(node.args[0]) if node.args else None
        if text is not None:
            self.reader.run(text if text.lstrip().upper().startswith("COPY") else None)

    def _on_unknown(self, receiver: ast.expr, name: str, node: ast.Call) -> None:
        """A method of something that may be rows of any model."""
        name = orm.ASYNC.get(name, name)
        if name in orm.DELETES:
            self.reader.note("deletes_all_rows" if calls.is_whole(receiver) else "deletes_rows")
        elif name == "save" or (name == "update" and not calls.is_plain_dict(receiver, node)):
            self.reader.note("requires_backfill")
        elif self._hands_on(node):
            self.reader.note("python_code", title=name)

    def _on_rows(self, rows: Rows, name: str, node: ast.Call) -> None:
        """A method of a queryset, a manager or an instance; one of its author may do anything."""
        if name in orm.DELETES:
            self._deleted(rows)
            if name == "delete" and rows.table:
                for code, table in self.reader.also_changed(rows.table):
                    self.reader.note(code, table)
        elif name == "update":
            code = "requires_backfill" if rows.limited else "updates_all_rows"
            self.reader.note(code, rows.table, sets=tuple(calls.given_columns(node)))
        elif name in orm.INSERTS or (rows.new and name == "save"):
            self.reader.note("inserts_rows", rows.table, works=rows.table is None)
        elif name in orm.CHANGES:
            looped = rows.looped and not rows.limited
            code = "loops_over_rows" if looped else "requires_backfill"
            self.reader.note(code, rows.table, sets=self.assigned)
        elif name == "select_for_update":
            self.reader.note("locks_rows", rows.table, works=False)
        elif name not in orm.READS and not (name.startswith("get_") and orm.is_of_field(name)):
            self.reader.note("python_code", rows.table, title=name)

    def _related(self, receiver: ast.expr, rows: Rows, name: str) -> Rows | None:
        """The rows that a related manager removes: of a many-to-many table, or of one that is not
        known. None for a value of a column, such as a list."""
        graph = self.reader.scene.graph
        table = graph.table(rows.table) if rows.table else None
        attribute = calls.attribute_of(receiver, self.attributes, self._text)
        if table is None or not attribute:
            return None
        between = TableName(table.name.schema, f"{table.name.name}_{attribute}")
        if between in graph:
            return Rows(between, rows.limited or orm.ASYNC.get(name, name) != "clear")
        return None if table.column(attribute) else Rows(None, True)

    def _deleted(self, rows: Rows) -> None:
        code = "deletes_rows" if rows.limited else "deletes_all_rows"
        self.reader.note(code, rows.table)
        self.reader.note("irreversible", rows.table)

    def _unreadable(self, name: str, node: ast.Call | None = None) -> None:
        """Code that may do anything; a method of the schema editor changes the models that it is
        given."""
        given = self._arguments(node).values() if node and name in orm.EDITOR else ()
        tables = [each.table for each in given if isinstance(each, Rows) and each.table]
        drops = name in orm.DROPPING or (node is not None and calls.may_remove(node))
        found = unreadable_code(f"Python: {name}()", tables, drops=drops)
        self.reader.found.append(found)

    def _named(self, name: str, node: ast.Call) -> None:
        """A function called by its name is read as well, if it is one of the project."""
        found = self._global(name)
        own = isinstance(found, FunctionType) and not is_library(found)
        if name in orm.UNREADABLE and not own:
            self._unreadable(name, node)
        elif is_model(found):
            self._rows(node.func)
        else:
            self._function(found, name, node)

    def _function(self, found: Any, name: str, node: ast.Call) -> None:
        """What a call runs: a function of the project, or a class that works for it."""
        if isinstance(found, FunctionType) and not is_library(found):
            if self.depth:
                self.reader.read(found, self.depth - 1, self._arguments(node))
            else:
                self.reader.note("python_code", title=name)
        elif found is UNSEEN or is_management(found):
            self.reader.note("python_code", title=name)
        elif not self._hands_on(node) or calls.is_known(found, name):
            return
        elif isinstance(found, type) and self.depth:
            for method in methods_of(found):
                self.reader.read(method, self.depth - 1)
        else:
            self.reader.note("python_code", title=name)

    def _arguments(self, node: ast.Call) -> Given:
        places: list[tuple[int | str, ast.expr]] = [*enumerate(node.args)]
        places += [(each.arg, each.value) for each in node.keywords if each.arg]
        found = ((place, self._rows(each) or self._text(each)) for place, each in places)
        return {place: each for place, each in found if each}

    def _hands_on(self, node: ast.Call) -> bool:
        """Does it pass the registry, the editor or a model to code that is not read?"""
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        own = {*self.rows, *self._handed()}
        return any(
            each.id in own
            if isinstance(each, ast.Name)
            else isinstance(each, ast.Call) and calls.called_name(each) == "get_model"
            for each in given
        )

    def _handed(self) -> tuple[str, ...]:
        """The arguments that lead to the database: of a function of RunPython the first two, of a
        method all but itself, and the app label of an operation."""
        code = self.function.__code__
        if self.owner is None:
            return code.co_varnames[:2]
        return tuple(n for n in code.co_varnames[1 : code.co_argcount] if n != "app_label")

    def _text(self, node: ast.expr) -> str | None:
        return constant_text(node, self.texts, self._global, self._db_table)

    def _db_table(self, model: ast.expr) -> str | None:
        rows = self._rows(model)
        return rows.table.name if rows and rows.table and not rows.table.schema else None

    def _own_method(self, receiver: ast.expr, name: str) -> Any:
        """The method that `self.name()` or `super().name()` runs, None of anything else."""
        if self.owner is None:
            return None
        if isinstance(receiver, ast.Name) and receiver.id == self.function.__code__.co_varnames[0]:
            return getattr(type(self.owner), name, None)
        if isinstance(receiver, ast.Call) and calls.called_name(receiver) == "super":
            return overridden(self.function, type(self.owner), name)
        return None

    def _global(self, name: str) -> Any:
        if name.startswith("self."):
            return getattr(self.owner, name.removeprefix("self."), None)
        if name in self.imports:
            return self.imports[name]
        closed = inspect.getclosurevars(self.function).nonlocals
        return closed.get(name, self.function.__globals__.get(name))
