"""Each operation of a project's whole history on a shadow, beside what its plan promises."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from tests.corpus import release
from tests.corpus.project import REPOSITORY, CorpusProject
from zanith_django.postgres.locks import Lock
from zanith_django.verify.surprises import words as words_of

HEADINGS = ("project", "steps", "statements", "disagree", "beyond", "seconds", "verdict")
WIDTHS = (18, 6, 11, 9, 7, 8, 0)

OK, NO = 0, 1

# What PostgreSQL drops with a table or a column without CASCADE.
PARTS = ("column", "constraint", "index", "sequence", "trigger")


class Disagreement(NamedTuple):
    """What the plan promises of a kind of operation, and what was observed. `beyond`: the step did
    more than its plan."""

    kind: str
    what: str
    promised: str
    observed: str
    beyond: bool


@dataclass(slots=True)
class Observed:
    """The disagreements of one project, with how many there are and the first of each."""

    steps: int = 0
    statements: int = 0
    seconds: float = 0.0
    numbers: Counter[Disagreement] = field(default_factory=Counter)
    first: dict[Disagreement, str] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        return [self._line(each) for each in sorted(self.numbers)]

    @property
    def problems(self) -> list[str]:
        return [self._line(each) for each in sorted(self.numbers) if each.beyond]

    @property
    def cells(self) -> tuple[object, ...]:
        beyond = sum(number for each, number in self.numbers.items() if each.beyond)
        verdict = f"{len(self.problems)} kinds wrong" if beyond else "as promised"
        found = (self.steps, self.statements, self.numbers.total(), beyond)
        return (*found, f"{self.seconds:.0f}", verdict)

    def _line(self, each: Disagreement) -> str:
        mark = "beyond" if each.beyond else "less"
        return (
            f"{mark:<6} {each.kind}: {each.what}: promised {each.promised}, observed "
            f"{each.observed} ({self.numbers[each]} times, first {self.first[each]})"
        )

    def note(self, each: Disagreement, where: str) -> None:
        self.numbers[each] += 1
        self.first.setdefault(each, where)


def check(project: CorpusProject, *, migrate: bool) -> Observed:
    """Run every migration of the project on an empty shadow."""
    result = Observed()
    with project.migrated(migrate=migrate) as url, release.written() as folder:
        began = time.perf_counter()
        text = project.manage(
            url,
            *("zanith_verify", "--from", "empty", "--format", "json"),
            expect=(OK, NO),
            EXTRA_APPS="zanith_django zanith_release",
            PYTHONPATH=f"{REPOSITORY}:{folder}",
        )
        result.seconds = time.perf_counter() - began
    found = json.loads(text[text.index("{\n") :])
    if found["error"]:
        result.note(Disagreement("", "failed", "to run", found["error"], beyond=True), "")
    views = release.views_of(found)
    for _, steps in groupby(found["steps"], key=itemgetter("migration")):
        _compare(list(steps), result, views)
    return result


def _compare(steps: list[Mapping[str, Any]], result: Observed, views: Collection[str]) -> None:
    """The steps of one migration. Django defers SQL to its end, and a lock is kept until then: what
    a step did not do may have been done by another one."""
    taken: dict[str, Lock] = {}
    for step in steps:
        for name, lock in step["locks"].items():
            taken[name] = max(release.lock_of(lock), taken.get(name, Lock.NONE))
    made = {name for step in steps for name in release.new_relations(step["made"])}
    renamed = bool(set(taken) - made - {name for step in steps for name in _named(step)})
    for step in steps:
        result.steps += 1
        result.statements += len(step["statements"])
        where = f"{step['migration']} step {step['step']}: {step['description']}"
        found = [*_more(step, views), *_rewrites(step, taken), *_drops(step)]
        found += _less(step, taken, made, renamed=renamed)
        for each in found:
            if each.beyond or step["kind"] != "deferred":
                result.note(each, where)


def _named(step: Mapping[str, Any]) -> set[str]:
    return {name for promise in step["promised"] for name in promise["tables"]}


def _kind(step: Mapping[str, Any]) -> str:
    """The kind of operation; of Django's own the words that its description begins with."""
    if step["kind"] != "djangoOperation":
        return str(step["kind"])
    return " ".join(step["description"].split()[:3])


def _more(step: Mapping[str, Any], views: Collection[str]) -> Iterator[Disagreement]:
    """Stronger locks than promised, on tables that no statement of the step made. Locks that hold
    up neither readers nor writers are no part of a plan, nor are those on views."""
    seen = {name: release.lock_of(lock) for name, lock in step["locks"].items()}
    for name in set(seen) - release.new_relations(step["made"]) - set(views):
        limit = _limit(step, name, seen)
        if seen[name] > limit and seen[name].blocks_writes:
            unread = release.is_unread(step)
            shown = "what it cannot read" if unread else str(limit), str(seen[name])
            yield Disagreement(_kind(step), "lock", *shown, beyond=not unread)


def _less(
    step: Mapping[str, Any], taken: Mapping[str, Lock], made: Collection[str], *, renamed: bool
) -> Iterator[Disagreement]:
    """Weaker locks than promised, on tables that no statement of the migration made. A table that
    was `renamed` has its first name in the report, and its new one in the promise."""
    for name in _named(step) - set(made):
        limit, lock = _limit(step, name, taken), taken.get(name, Lock.NONE)
        if lock < limit and limit.blocks_writes and not (renamed and name not in taken):
            shown = str(limit), str(lock)
            yield Disagreement(_kind(step), "lock", *shown, beyond=False)


def _limit(step: Mapping[str, Any], name: str, seen: Mapping[str, Lock]) -> Lock:
    """A promise without tables is for any, and so is one of tables under other names."""
    fitting = (
        release.lock_of(each["lock"])
        for each in step["promised"]
        if not each["tables"]
        or name in each["tables"]
        or (name in seen and not set(each["tables"]) <= set(seen))
    )
    return max(fitting, default=Lock.NONE)


def _rewrites(step: Mapping[str, Any], taken: Collection[str]) -> Iterator[Disagreement]:
    """Of tables: they have a lock of this migration, indexes have none."""
    new = release.new_relations(step["made"])
    indexes = {words.partition(" ")[2] for words in step["made"] if words.startswith("index ")}
    seen = {name for statement in step["statements"] for name in statement["rewrites"]}
    tables = {name for name in seen if name in taken} - new - indexes
    promised = any(promise["rewrites"] for promise in step["promised"])
    if bool(tables) != promised:
        said = ("a rewrite", "none") if promised else ("none", "a rewrite")
        yield Disagreement(_kind(step), "rewrite", *said, beyond=bool(tables))


def _drops(step: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Views, functions and other objects of their own that neither the step nor its SQL names."""
    texts = (step["description"], *(each["sql"] for each in step["statements"]))
    named = set().union(*map(words_of, texts))
    for dropped in {*step["dropped"]} - {*step["made"]}:
        kind, _, name = dropped.partition(" ")
        if kind not in PARTS and name.rpartition(".")[2].strip('"') not in named:
            yield Disagreement(_kind(step), "drop", "none", f"a {kind}", beyond=True)
