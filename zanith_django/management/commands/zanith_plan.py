"""zanith_plan: what would run, how risky each step is, and whether it may."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any, cast

from zanith_django.conf import conf
from zanith_django.exceptions import Blocked, InvalidArgument
from zanith_django.files.files import managed_apps, select_apps
from zanith_django.ledger.ledger import Ledger
from zanith_django.management.base import ZanithCommand
from zanith_django.management.output import Output
from zanith_django.plan import gates
from zanith_django.plan.gates import Refusal
from zanith_django.plan.live_facts import live_context, offline_context
from zanith_django.plan.observed import read_observed, with_observed
from zanith_django.plan.plan import Plan
from zanith_django.plan.planner import plan
from zanith_django.plan.reasons import reason
from zanith_django.plan.since import changed_since, missing_at
from zanith_django.render.data import plan_data
from zanith_django.render.text import newer_text, plan_text
from zanith_django.timeline.project import live_graph, offline_timeline, read_timeline
from zanith_django.timeline.timeline import Key, Timeline


class Command(ZanithCommand):
    help = "Shows what zanith_apply would run, with the risk of each step. Exit 1 when blocked."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_gate_arguments(parser)
        parser.add_argument(
            "--since", metavar="REF", help="Score files changed since a git ref; needs no database."
        )
        parser.add_argument(
            "--only", nargs="+", metavar="ID", help="Score these files; needs no database."
        )
        parser.add_argument(
            "--sizes",
            metavar="FILE",
            help="With --since or --only: a graph with row estimates from production.",
        )
        parser.add_argument(
            "--previous",
            metavar="REF",
            help="The git ref of the release that runs; by default it has what is applied.",
        )
        parser.add_argument("--explain", metavar="CODE", help="Say what a reason means, and stop.")
        parser.add_argument("--format", choices=("text", "json", "sql"), default="text")

    def run(self, **options: Any) -> None:
        if options["explain"]:
            self._explain(options["explain"])
            return
        max_risk = conf.max_risk if options["max_risk"] is None else options["max_risk"]
        sizes = _sizes(options["sizes"])
        newer: list[str] = []
        if options["since"] or options["only"]:
            planned, refusals = self._offline(options, sizes)
        else:
            planned, refusals, newer = self._live(options)
        if options["observed"]:
            planned = with_observed(planned, read_observed(options["observed"]))
        refusals += gates.dependents(planned)
        refusals += gates.budget(planned, max_risk)
        refusals += gates.consent(planned, options["allow_destructive"] or conf.allow_destructive)
        refusals += gates.reasons(planned, options["fail_on"] or conf.fail_on)
        if options["format"] == "json":
            data = plan_data(planned, refusals, conf.mode, max_risk)
            self.print_json({**data, "newer": newer} if newer else data)
        elif options["format"] == "sql":
            for migration, step in planned.steps:  # exactly what would run
                text = f"-- {migration.id} step {step.number:02d}\n{step.sql}"
                cast(Output, self.stdout).write(text, exact=True)
        else:
            self._show(planned, refusals, max_risk, newer, options["verbosity"])
        if refusals:
            raise Blocked(len(refusals))

    def _show(
        self,
        planned: Plan,
        refusals: list[Refusal],
        max_risk: int,
        newer: list[str],
        verbosity: int,
    ) -> None:
        if not verbosity:
            self.say(refusal.message for refusal in refusals)
            return
        self.say(newer_text(newer))
        details = verbosity > 1
        self.say(plan_text(planned, refusals, max_risk, self.style, details=details))

    def _live(self, options: dict[str, Any]) -> tuple[Plan, list[Refusal], list[str]]:
        connection = self.connect(options["database"])
        ledger = Ledger(connection)
        timeline = read_timeline(connection)
        context = live_context(connection, live_graph(connection), timeline)
        planned = plan(
            timeline,
            database=connection.alias,
            context=context,
            ledger=ledger,
            absent=_absent(options["previous"], timeline),
        )
        refusals = [*gates.integrity(ledger, timeline), *_coverage(timeline)]
        return planned, refusals, gates.newer_than_files(ledger, timeline)

    def _offline(
        self, options: dict[str, Any], sizes: dict[str, object] | None
    ) -> tuple[Plan, list[Refusal]]:
        select_apps([])  # without a managed app there is no file to score
        timeline = offline_timeline()
        files = [entry.migration for entry in timeline.entries if entry.migration]
        if options["since"]:
            ids = changed_since(options["since"], files)
        else:
            ids = [timeline.find(name).id for name in options["only"]]
        context = offline_context(sizes)
        planned = plan(
            timeline,
            database=options["database"],
            context=context,
            only=set(ids),
            absent=_absent(options["previous"], timeline),
        )
        return planned, _coverage(timeline)

    def _explain(self, code: str) -> None:
        found = reason(code)
        self.stdout.write(f"{found.code} · {found.level} ({int(found.level)})")
        self.stdout.write(f"  {found.effect}")
        self.stdout.write(f"  Safer: {found.safer}")


def _absent(ref: str | None, timeline: Timeline) -> frozenset[Key] | None:
    """The migrations of managed apps that the release at this git ref does not have."""
    if ref is None:
        return None
    labels = {config.label for config in managed_apps()}
    migrations = timeline.loader.disk_migrations
    modules = {key: sys.modules[type(m).__module__] for key, m in migrations.items()}
    files = {key: Path(str(module.__file__)) for key, module in modules.items()}
    return missing_at(ref, {key: path for key, path in files.items() if key[0] in labels})


def _coverage(timeline: Timeline) -> list[Refusal]:
    return gates.coverage(timeline, managed_apps(), conf.uncovered)


def _sizes(path: str | None) -> dict[str, object] | None:
    if path is None:
        return None
    try:
        data = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        hint = "Make it in production: zanith_diff live --format graph."
        raise InvalidArgument(f"--sizes {path}: {error}", hint) from error
    if not isinstance(data, dict):
        raise InvalidArgument(f"--sizes {path}: this is no graph.", hint)
    return data


def score(text: str) -> int:
    """An argument that is a risk."""
    value = int(text)
    if not 0 <= value <= 100:
        raise ArgumentTypeError(f"{text} is not from 0 to 100")
    return value


def add_gate_arguments(parser: ArgumentParser) -> None:
    """What a plan may contain."""
    parser.add_argument(
        "--max-risk",
        type=score,
        metavar="SCORE",
        help="Refuse a step that scores higher. By default the cap of the mode.",
    )
    parser.add_argument(
        "--allow-destructive", action="store_true", help="Allow steps that take data away."
    )
    parser.add_argument(
        "--fail-on", nargs="+", metavar="REASON", help="Refuse a step with one of these reasons."
    )
    parser.add_argument(
        "--observed",
        metavar="FILE",
        help="Judge raw SQL and Python by what a shadow saw: zanith_verify --format json.",
    )
