"""Migration files: finding them, reading them, writing them."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import importlib.util
import re
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings

from zanith_django.conf import conf
from zanith_django.exceptions import BadSetting, BrokenFile, CannotWrite, NoManagedApps, UnknownApp
from zanith_django.files.fitting import misfits
from zanith_django.files.lines import lines_of
from zanith_django.files.migration import LoadedMigration, Migration
from zanith_django.operations.base import Operation
from zanith_django.postgres.names import TableName
from zanith_django.schema.encoding import stored_fields
from zanith_django.schema.graph import Index, IndexKey

FOLDER = "zanith_migrations"

_FILE_NAME = re.compile(r"^\d{8}_\d{6}_\w+$")


# --- which apps, and where -----------------------------------------------------------------------


def managed_apps() -> list[AppConfig]:
    """Apps whose migrations zanith writes: those of the setting APPS, or the project's own code.
    Raises `NoManagedApps` if it finds no code of the project: probably it is elsewhere.
    """
    if conf.apps is not None:
        return [_app(label) for label in conf.apps]
    folders = project_folders()
    libraries = _library_folders()
    found = [config for config in apps.get_app_configs() if _is_own(config, folders, libraries)]
    if not found:
        raise NoManagedApps(folders, _likely_own())
    return found


def own_labels() -> set[str]:
    """Labels of the managed apps, and of others whose code is the project's own."""
    folders, libraries = project_folders(), _library_folders()
    own = (config for config in apps.get_app_configs() if _is_own(config, folders, libraries))
    return {config.label for config in (*managed_apps(), *own)}


def other_apps(managed: Iterable[AppConfig]) -> list[AppConfig]:
    """Installed apps with models whose migrations zanith does not write."""
    ours = {config.label for config in managed} | {"zanith_django"}
    others = (config for config in apps.get_app_configs() if config.label not in ours)
    return [config for config in others if config.models]


def _likely_own() -> list[str]:
    configs = apps.get_app_configs()
    return [c.label for c in configs if not c.name.startswith(("django.", "zanith_django"))]


def _app(label: str) -> AppConfig:
    try:
        return apps.get_app_config(label)
    except LookupError:
        raise BadSetting("APPS", f"names {label!r}, which is not an installed app") from None


def project_folders() -> list[Path]:
    """The folders with a project's code: BASE_DIR, the folder of manage.py, and the one from which
    its settings are imported. One may be below another: with django-admin there is no manage.py,
    and BASE_DIR is often one level too deep."""
    found = [getattr(settings, "BASE_DIR", None), _folder_of_main(), _folder_of_settings()]
    folders = list(dict.fromkeys(Path(folder).resolve() for folder in found if folder))
    return folders or [Path.cwd()]


def _folder_of_main() -> Path | None:
    """The folder of manage.py; None for an installed script, such as django-admin."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = Path(main).resolve().parent if main else None
    installed = [Path(sysconfig.get_path("scripts")).resolve(), *_library_folders()]
    return None if folder is None or any(map(folder.is_relative_to, installed)) else folder


def _folder_of_settings() -> Path | None:
    name = getattr(settings, "SETTINGS_MODULE", None)
    top = sys.modules.get(str(name).partition(".")[0]) if name else None
    if top is None:
        return None
    if file := getattr(top, "__file__", None):
        folder = Path(file).resolve().parent
    else:  # a namespace package
        folder = Path(next(iter(top.__path__))).resolve()
    return folder.parent if hasattr(top, "__path__") else folder


def _library_folders() -> list[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    return [Path(folder).resolve() for folder in {*folders, *site.getsitepackages()}]


def _is_own(config: AppConfig, folders: Iterable[Path], libraries: Iterable[Path]) -> bool:
    path = Path(config.path).resolve()
    if config.label == "zanith_django" or any(map(path.is_relative_to, libraries)):
        return False
    return any(map(path.is_relative_to, folders))


def select_apps(labels: Sequence[str]) -> list[AppConfig]:
    """The managed apps of these labels, or all; raises `UnknownApp` and `NoManagedApps`."""
    managed = {config.label: config for config in managed_apps()}
    if not managed:
        raise NoManagedApps((), _likely_own())
    for label in labels:
        if label not in managed:
            installed = any(config.label == label for config in apps.get_app_configs())
            why = "is installed, but not managed" if installed else "is not an installed app"
            raise UnknownApp(label, managed, why)
    return [managed[label] for label in labels] if labels else list(managed.values())


def folder_of(config: AppConfig) -> Path:
    """The folder of an app's migration files; it may not exist."""
    module = conf.migration_modules.get(config.label)
    if module is None:
        return Path(config.path) / FOLDER
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise BadSetting("MIGRATION_MODULES", f"names {module!r}, which is not a package")
    return Path(next(iter(spec.submodule_search_locations)))


def covered_after(config: AppConfig) -> str:
    """The last Django migration that needs no file; "" means that all need one."""
    path = folder_of(config) / "__init__.py"
    if not path.exists():
        return ""
    try:
        tree = ast.parse(_bytes_of(path))
    except SyntaxError as error:
        raise BrokenFile(path, error.msg, error.lineno) from error
    except ValueError as error:  # null bytes, before Python 3.12
        raise BrokenFile(path, error) from error
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if "covered_after" in [each.id for each in targets if isinstance(each, ast.Name)]:
                return str(node.value.value or "")
    return ""


# --- reading -------------------------------------------------------------------------------------


def load_all(configs: Iterable[AppConfig] | None = None) -> list[LoadedMigration]:
    """Every migration file of these apps (default: the managed ones), by id.

    Raises `BrokenFile` for a file that does not import, and for two files of one id.
    """
    found: dict[str, LoadedMigration] = {}
    for config in managed_apps() if configs is None else configs:
        for path in paths_of(config):
            migration = load(path, config.label)
            if migration.id in found:
                raise BrokenFile(path, f"has the id of {found[migration.id].path}; ids are unique")
            found[migration.id] = migration
    return [found[key] for key in sorted(found)]


def paths_of(config: AppConfig) -> list[Path]:
    """The migration files of an app, without hidden files, which editors create as locks."""
    folder = folder_of(config)
    if not folder.is_dir():
        return []
    found = (path for path in folder.glob("[!.]*.py") if path.stem != "__init__")
    return sorted(path for path in found if not path.is_dir())


def load(path: Path, app_label: str) -> LoadedMigration:
    """One migration file as a value; raises `BrokenFile` naming file and line."""
    if not _FILE_NAME.match(path.stem):
        raise BrokenFile(path, "its name is not <YYYYMMDD_HHMMSS>_<slug>.py")
    text = _bytes_of(path)
    declared = getattr(_import(path), "Migration", None)
    if not (isinstance(declared, type) and issubclass(declared, Migration)):
        raise BrokenFile(path, "has no class Migration(zanith.Migration)")
    if not isinstance(declared.operations, list | tuple):
        raise BrokenFile(path, f"operations is not a list: {declared.operations!r}")
    operations: tuple[Any, ...] = tuple(declared.operations)
    for number, operation in enumerate(operations, 1):
        if not isinstance(operation, Operation):
            line = lines_of(text).of(number)
            raise BrokenFile(path, f"operation {number} is no operation: {operation!r}", line)
        if wrong := next(misfits(operation), ""):
            raise BrokenFile(path, f"{operation.kind}: {wrong}", lines_of(text).of(number))
    return LoadedMigration(
        id=path.stem,
        app_label=app_label,
        operations=operations,
        covers=_names(path, "covers", declared.covers),
        requires=_names(path, "requires", declared.requires),
        approved=_approvals(path, declared.approved, len(operations)),
        path=str(path),
        checksum=hashlib.sha256(text).hexdigest(),
    )


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenFile(path, f"cannot be read: {error.strerror}") from error


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_zanith_migration_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BrokenFile(path, "is not a Python module")
    module = importlib.util.module_from_spec(spec)
    try:
        # Standard output is reserved for the result of the command.
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BrokenFile(path, error.msg, error.lineno) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = frames[-1].lineno if frames else None
        raise BrokenFile(path, f"{type(error).__name__}: {error}", line) from error
    return module


def _names(path: Path, what: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise BrokenFile(path, f"{what} is not a list of texts: {value!r}")
    return tuple(value)


def _approvals(path: Path, value: object, count: int) -> dict[str, str]:
    """{number of a step: why it may run}; `count` is how many steps the file has."""
    if not isinstance(value, Mapping):
        raise BrokenFile(path, f'approved is not a dict such as {{"0003": "why"}}: {value!r}')
    for item in (*value.keys(), *value.values()):
        if not isinstance(item, str):
            raise BrokenFile(path, f"approved has {item!r}, which is not a text")
    numbers = [f"{number:04d}" for number in range(1, count + 1)]
    for number, why in value.items():
        if number not in numbers:
            steps = f"its steps are {numbers[0]} to {numbers[-1]}" if numbers else "it has no step"
            raise BrokenFile(path, f"approved names step {number!r}: {steps}")
        if not why.strip():
            raise BrokenFile(path, f"approved gives no reason for step {number!r}")
    return dict(value)


# --- writing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be written: its path and its text."""

    path: Path
    text: str

    def write(self) -> None:
        """Raises `CannotWrite`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text)
        except OSError as error:
            raise CannotWrite(self.path, error) from error


def render_migration(
    operations: Sequence[Operation],
    *,
    covers: Sequence[str] = (),
    requires: Sequence[str] = (),
    title: str = "",
) -> str:
    """The text of a migration file, which `load` reads back to equal values."""
    lines = [f'"""{title}"""' if title else '"""Written by hand."""', ""]
    lines += ["import zanith_django as zanith", "", "", "class Migration(zanith.Migration):"]
    if covers:
        lines.append(f"    covers = {_spell(list(covers), 4, 'covers = ')}")
    if requires:
        lines.append(f"    requires = {_spell(list(requires), 4, 'requires = ')}")
    lines.append(f"    operations = {_spell(list(operations), 4)}")
    return "\n".join(lines) + "\n"


def render_init(app_label: str, after: str) -> str:
    """The text of `zanith_migrations/__init__.py`."""
    lines = [f'"""zanith migrations of {app_label}."""', ""]
    if after:
        lines.append("# The last Django migration that was applied before zanith took over.")
    lines.append(f"covered_after = {_spell(after or None, 0)}")
    return "\n".join(lines) + "\n"


_WIDTH = 100


def _spell(value: Any, indent: int, prefix: str = "") -> str:
    """Python source of an operation or a value in it, wrapped as a formatter would."""
    return _wrapped(_source(value), indent, prefix)


@dataclass(frozen=True, slots=True)
class _Source:
    """A value as source: on one line, and in parts, each with its prefix. `flat` is None if
    it would not fit a line anywhere."""

    value: Any
    flat: str | None
    opening: str = ""
    parts: tuple[tuple[str, _Source], ...] = ()
    closing: str = ""


def _wrapped(source: _Source, indent: int, prefix: str = "") -> str:
    flat, inner = source.flat, " " * (indent + 4)
    fits = flat is not None and indent + len(prefix) + len(flat) < _WIDTH and "\n" not in flat
    if flat is not None and fits and not _is_long(source.value):
        return flat
    if source.opening:
        parts = (f"{inner}{name}{_wrapped(part, indent + 4, name)}," for name, part in source.parts)
        return "\n".join([source.opening, *parts, " " * indent + source.closing])
    if isinstance(source.value, str):
        pieces = [f"{inner}{_text(piece)}" for piece in _pieces(source.value, _WIDTH - indent - 8)]
        if len(pieces) > 1:
            return "\n".join(["(", *pieces, " " * indent + ")"])
    return flat or ""


def _pieces(text: str, width: int) -> list[str]:
    """A long text cut after line ends and between words, so that each piece fits a line."""
    pieces: list[str] = []
    for line in text.splitlines(keepends=True):
        piece = ""
        for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", line):
            if piece and len(_text(piece + word)) > width:
                pieces.append(piece)
                piece = ""
            piece += word
        pieces.append(piece or line)
    return pieces


def _is_long(value: Any) -> bool:
    """A list of operations always has one item per line."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Operation)


def _source(value: Any) -> _Source:
    if isinstance(value, TableName):
        return _Source(None, _text(str(value)))
    if isinstance(value, IndexKey) and value == IndexKey(column=value.column):
        return _source(value.column)
    if isinstance(value, str):
        return _Source(value, _text(value))
    if isinstance(value, list | tuple):
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return _whole(value, opening, [("", _source(item)) for item in value], closing, comma)
    if dataclasses.is_dataclass(value):
        parts = [(name, _source(item)) for name, item in _arguments(value)]
        return _whole(value, f"zanith.{type(value).__name__}(", parts, ")")
    return _Source(value, repr(value))


def _whole(
    value: Any, opening: str, parts: list[tuple[str, _Source]], closing: str, comma: str = ""
) -> _Source:
    texts = [f"{name}{part.flat}" for name, part in parts if part.flat is not None]
    flat: str | None = None
    if len(texts) == len(parts) and sum(map(len, texts)) < _WIDTH:
        flat = f"{opening}{', '.join(texts)}{comma}{closing}"
    return _Source(value, flat, opening, tuple(parts), closing)


def _text(value: str) -> str:
    """A string literal in double quotes if that needs no escape."""
    plain = repr(value)
    if plain.startswith("'") and '"' not in value:
        return f'"{plain[1:-1]}"'
    return plain


def _arguments(value: Any) -> list[tuple[str, Any]]:
    """(prefix, value) of each constructor argument: the leading texts without a name."""
    arguments: list[tuple[str, Any]] = []
    leading = not isinstance(value, Operation)
    for name, default, kind in stored_fields(value.__class__):
        current = getattr(value, name)
        if default is not dataclasses.MISSING and current == default:
            leading = False
            continue
        leading = leading and default is dataclasses.MISSING and kind in (str, TableName)
        arguments.append(("" if leading else f"{name}=", _derived(value, name, current)))
    return [argument for argument in arguments if argument[1] is not _OMIT]


_OMIT = object()


def _derived(value: Any, name: str, current: Any) -> Any:
    """The value of a field, or `_OMIT` if the constructor computes it by itself."""
    if isinstance(value, Index) and name == "columns":
        return _OMIT if dataclasses.replace(value, columns=()).columns == current else current
    return current
