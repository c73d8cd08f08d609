"""A release of one more app in a real project, and verify on it: right, wrong, and unreachable."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.corpus.project import REPOSITORY, CorpusProject, Failed
from zanith_django.postgres.locks import Lock
from zanith_django.verify.catalog_objects import TABLES

SOURCES = ("live", "file", "empty")
HEADINGS = ("project", "steps", "from live", "from file", "from empty", "seconds", "verdict")
WIDTHS = (18, 6, 10, 10, 11, 8, 0)

APP = """
from django.apps import AppConfig


class Release(AppConfig):
    name = "zanith_release"

    def ready(self):
        from django.conf import settings

        settings.ZANITH = {"APPS": ["zanith_release"]}
"""
BEFORE = """
from django.db import models


class Note(models.Model):
    title = models.CharField(max_length=20)
    old = models.IntegerField(null=True)
    about = models.ForeignKey("contenttypes.ContentType", models.CASCADE)
"""
AFTER = """
from django.db import models


class Label(models.Model):
    name = models.SlugField(unique=True)


class Note(models.Model):
    title = models.CharField(max_length=80, db_index=True)
    stars = models.IntegerField(default=0)
    label = models.ForeignKey(Label, models.SET_NULL, null=True)
    kind = models.ForeignKey(
        "contenttypes.ContentType", models.CASCADE, null=True, related_name="+"
    )
    about = models.ForeignKey("contenttypes.ContentType", models.CASCADE)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(stars__gte=0), name="note_stars"),
            models.UniqueConstraint(fields=["title", "about"], name="note_once"),
        ]
"""
BROKEN = "ALTER TABLE zanith_release_nothing ADD broken integer"
NOWHERE = "postgres://shop@127.0.0.1:1/shadow"

VIEWS = ("view", "materialized view")
OK, NO, UNREACHABLE = 0, 1, 3


@dataclass(slots=True)
class Released:
    """What verify said in one project; `problems` is empty when all is as it should be."""

    steps: int = 0
    verdicts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [*self.found, *self.problems]

    @property
    def cells(self) -> tuple[object, ...]:
        found = (self.verdicts.get(source, "") for source in SOURCES)
        verdict = f"{len(self.problems)} wrong" if self.problems else "as expected"
        return (self.steps, *found, f"{self.seconds:.0f}", verdict)


def check(project: CorpusProject, sources: Sequence[str], *, migrate: bool) -> Released:
    """Generate a release, verify it on these sources, then spoil it in three ways."""
    result = Released()
    began = time.perf_counter()
    with project.migrated(migrate=migrate) as url, written() as folder:
        release = _Release(project, url, folder, result)
        release.generate()
        for source in sources:
            release.right(source)
        release.without_a_step()
        release.with_a_broken_statement()
        release.unreachable()
    result.seconds = time.perf_counter() - began
    return result


@contextmanager
def written() -> Iterator[Path]:
    """The folder with the app as it is before the release."""
    with TemporaryDirectory() as name:
        app = Path(name) / "zanith_release"
        for package in (app, app / "migrations", app / "zanith_migrations"):
            package.mkdir()
            (package / "__init__.py").touch()
        (app / "apps.py").write_text(APP)
        (app / "models.py").write_text(BEFORE)
        yield Path(name)


@dataclass(frozen=True, slots=True)
class _Release:
    project: CorpusProject
    url: str
    folder: Path
    result: Released

    def manage(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
        return self.project.manage(
            self.url,
            *arguments,
            expect=expect,
            EXTRA_APPS="zanith_django zanith_release",
            PYTHONPATH=f"{REPOSITORY}:{self.folder}",
        )

    def generate(self) -> None:
        self.manage("makemigrations", "zanith_release", "--no-input")
        self.manage("migrate", "zanith_release", "--no-input")
        (self.folder / "zanith_release" / "models.py").write_text(AFTER)
        self.manage("zanith_generate", "--no-input")
        self.result.steps = len(_operations(ast.parse(self.file.read_text())).elts)

    @property
    def file(self) -> Path:
        """That of the release: an earlier one is for the tables that it begins with."""
        return max((self.folder / "zanith_release" / "zanith_migrations").glob("2*.py"))

    def verified(self, *arguments: str, expect: tuple[int, ...]) -> dict[str, Any]:
        text = self.manage("zanith_verify", "--format", "json", *arguments, expect=expect)
        found: dict[str, Any] = json.loads(text[text.index("{\n") :])
        return found

    # --- what is to be found ---------------------------------------------------------------------

    def right(self, source: str) -> None:
        """The release as it was generated, on the structure of this source. From empty, the plan
        has the project's own migrations, and leaves what they leave."""
        with self._noting(f"from {source}"):
            known = self._left_by_migrations() if source == "empty" else set()
            found = self.verified(*self._source(source), expect=(OK, NO) if known else (OK,))
            self.result.verdicts[source] = found["verdict"]
            left = [f"{e['origin']}: {e['description']}" for e in found["operations"]]
            beyond = [*_disagreements(found)]
            self.result.found += [f"from {source}: {line}" for line in (*left, *beyond)]
            drift = [*_lines(found, origin="plan")]
            verdict = "drift" if drift else "ok"
            self._expect(found["verdict"] == verdict, f"the verdict is {found['verdict']}")
            self._expect(known.issuperset(drift), f"drift: {sorted(set(drift) - known)}")
            self._expect(not beyond, f"{len(beyond)} beyond the plan: {beyond[:5]}")

    def _left_by_migrations(self) -> set[str]:
        """The differences between the migrated database and the models of the project."""
        return set(_lines(self.project.diff(self.url, "live", "models")))

    def _source(self, source: str) -> list[str]:
        if source == "live":
            return []
        if source == "empty":
            return ["--from", "empty"]
        path = self.folder / "live.json"
        text = self.manage("zanith_diff", "live", "--format", "graph")
        path.write_text(text[text.index("{") :])
        return ["--from", str(path)]

    def without_a_step(self) -> None:
        """The last step that adds something is left out: what is missing is its operation."""
        with self._edited() as operations, self._noting("without a step"):
            added = [each for each in operations if ast.unparse(each).startswith("zanith.Add")]
            left_out = ast.unparse(added[-1]).partition("(")[0].removeprefix("zanith.")
            self._write([each for each in operations if each is not added[-1]])
            found = self.verified(expect=(NO,))
            left = [each["kind"] for each in found["operations"] if each["origin"] == "plan"]
            self.result.found.append(f"without {left_out}: {found['verdict']}, {left} missing")
            self._expect(found["verdict"] == "drift", f"the verdict is {found['verdict']}")
            self._expect([kind.lower() for kind in left] == [left_out.lower()], f"{left} are left")

    def with_a_broken_statement(self) -> None:
        broken = ast.parse(f"zanith.RawSql(sql={BROKEN!r})", mode="eval").body
        with self._edited() as operations, self._noting("broken"):
            self._write([*operations, broken])
            found = self.verified(expect=(NO,))
            self.result.found.append(f"broken: {found['verdict']}: {found['error']}")
            self._expect(found["verdict"] == "apply-failed", f"the verdict is {found['verdict']}")
            self._expect(found["statement"] == BROKEN, f"the statement is {found['statement']!r}")

    def unreachable(self) -> None:
        with self._noting("unreachable"):
            self.manage("zanith_verify", "--shadow", NOWHERE, expect=(UNREACHABLE,))

    # --- the file --------------------------------------------------------------------------------

    @contextmanager
    def _edited(self) -> Iterator[list[ast.expr]]:
        """The operations of the file, which is as it was afterwards."""
        before = self.file.read_text()
        yield _operations(ast.parse(before)).elts
        self.file.write_text(before)

    def _write(self, operations: Sequence[ast.expr]) -> None:
        tree = ast.parse(self.file.read_text())
        _operations(tree).elts = list(operations)
        self.file.write_text(ast.unparse(tree))

    # --- the report ------------------------------------------------------------------------------

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """A command that ends otherwise is a problem, and the next one runs."""
        known = len(self.result.problems)
        try:
            yield
        except Failed as error:
            self.result.problems.append(str(error))
        self.result.problems[known:] = [f"{what}: {each}" for each in self.result.problems[known:]]

    def _expect(self, fine: bool, words: str) -> None:
        if not fine:
            self.result.problems.append(words)


def _operations(tree: ast.Module) -> ast.List:
    (found,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "operations"
    )
    assert isinstance(found, ast.List)
    return found


def _disagreements(found: Mapping[str, Any]) -> Iterator[str]:
    """Locks that block writes and are stronger than promised, on tables that no statement of their
    step made. A table that an earlier migration renamed has its first name in the report, and the
    new one in the promise."""
    views = views_of(found)
    for step in found["steps"]:
        new = new_relations(step["made"]) | views
        for name, lock in step["locks"].items():
            limits = [each["lock"] for each in step["promised"] if _fits(each, name, step["locks"])]
            taken = lock_of(lock)
            if name in new or not taken.blocks_writes or is_unread(step):
                continue
            if taken > max(map(lock_of, limits), default=Lock.NONE):
                yield f"{step['description']}: {lock} on {name}, promised {limits}"


def _lines(found: Mapping[str, Any], origin: str = "") -> Iterator[str]:
    """The operations that are left, those of this origin alone."""
    for each in found["operations"]:
        if origin in ("", each.get("origin")):
            yield f"{each['kind']} {each['description']}"


def views_of(found: Mapping[str, Any]) -> set[str]:
    """The views that the run created: the plan shows locks on tables alone."""
    return {name for step in found["steps"] for name in new_relations(step["made"], VIEWS)}


def is_unread(step: Mapping[str, Any]) -> bool:
    """Is it code that the plan cannot read? It promises no lock, or one on any table."""
    return any(not promise["tables"] for promise in step["promised"])


def new_relations(made: Iterable[str], of: Sequence[str] = TABLES) -> set[str]:
    """The new tables and views of a step, or those of these kinds."""
    kinds = tuple(f"{kind} " for kind in of)
    return {each.removeprefix(k) for each in made for k in kinds if each.startswith(k)}


def _fits(promise: Mapping[str, Any], name: str, seen: Collection[str]) -> bool:
    tables = promise["tables"]
    return not tables or name in tables or not set(tables) <= set(seen)


def lock_of(lock: str) -> Lock:
    return Lock[lock.replace(" ", "_")]
