"""What comes before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from django.db import transaction

from zanith_django.apply.rows import (
    pending_step,
)
from zanith_django.apply.state import RunState
from zanith_django.conf import conf
from zanith_django.exceptions import (
    FileEdited,
    FileMissing,
    GateRefused,
    HalfRolledBack,
    InvalidArgument,
)
from zanith_django.files.files import managed_apps
from zanith_django.files.migration import is_djangos
from zanith_django.ledger.step_rows import (
    DONE,
    FINISHED,
    ROLLED_BACK,
)
from zanith_django.ledger.steps import StepRow
from zanith_django.operations.base import Context, Operation
from zanith_django.plan import gates
from zanith_django.plan.fingerprint import fingerprint
from zanith_django.plan.gates import Refusal
from zanith_django.plan.observed import with_observed
from zanith_django.plan.plan import Plan
from zanith_django.plan.planner import plan
from zanith_django.run.audit import (
    is_ours,
)
from zanith_django.run.taken_names import stood_before


class Admission(RunState):
    """What comes before anything runs: refusals, the plan and its gates."""

    def _refuse_edited(self) -> None:
        for refused in gates.integrity(self.ledger, self.timeline) if self.options.gated else ():
            error = FileMissing if refused.gate == gates.MISSING else FileEdited
            raise error(refused.migration, refused.message)

    def _refuse_half_rolled_back(self) -> None:
        for name in self.ledger.half_rolled_back():
            raise HalfRolledBack(name)

    def _follow_django(self) -> None:
        """Of its own migrations Django's record tells what is applied. One that failed as a whole
        and is not to run any more is nobody's business."""
        pending = {entry.id: entry for entry in self.timeline.pending}
        failed = {row.migration_id for row in self.ledger.unfinished()} - pending.keys()
        with transaction.atomic(using=self.connection.alias):
            for entry in pending.values():
                if entry.taken_back:
                    self.ledger.take_back(entry.id)
            for name in failed:
                rows = self.ledger.latest(name).values()
                if is_djangos(name) and all(row.status != DONE for row in rows):
                    self.ledger.give_up(name)

    def _plan(self, context: Context) -> Plan:
        """The plan as far as --steps and --to say."""
        whole = plan(
            self.timeline, database=self.connection.alias, context=context, ledger=self.ledger
        )
        whole = with_observed(whole, self.options.observed)
        migrations = whole.migrations
        if self.options.to:
            wanted = self.timeline.find(self.options.to).id
            ids = [migration.id for migration in migrations]
            migrations = migrations[: ids.index(wanted) + 1] if wanted in ids else ()
        if self.options.count is not None:
            if self.options.count < 1:
                raise InvalidArgument("--steps takes a number of migrations from 1 on.")
            migrations = migrations[: self.options.count]
        return dataclasses.replace(whole, migrations=tuple(migrations))

    def _pass_gates(self, planned: Plan) -> None:
        if not self.options.gated:
            return
        given = self.options
        allowed = given.allow_destructive
        refusals: list[Refusal] = [
            *gates.dependents(planned),
            *gates.budget(planned, conf.max_risk if given.max_risk is None else given.max_risk),
            *gates.consent(planned, conf.allow_destructive if allowed is None else allowed),
            *gates.reasons(planned, conf.fail_on if given.fail_on is None else given.fail_on),
        ]
        if given.verified or conf.require_verified:
            now = fingerprint(self.connection, planned, self.graph)
            refusals += gates.verified(planned, given.verified, now)
        if conf.uncovered == "refuse":
            refusals += gates.coverage(self.timeline, managed_apps(), conf.uncovered)
        if refusals:
            self._record_refusals(planned, refusals)
            lines = dict.fromkeys(f"{r.migration}: {r.message}" for r in refusals)
            raise GateRefused(lines, gates.hint(refusals))

    def _record_refusals(self, planned: Plan, refusals: Iterable[Refusal]) -> None:
        """One failed row per refused step, with the first gate that refused it."""
        steps = {(migration.id, step.number): step for migration, step in planned.steps}
        first: dict[tuple[str, int], Refusal] = {}
        for refusal in refusals:
            if refusal.step:
                first.setdefault((refusal.migration, refusal.step), refusal)
        with transaction.atomic(using=self.connection.alias):
            for (migration_id, number), refusal in first.items():
                new = pending_step(steps[migration_id, number])
                self.ledger.refuse(migration_id, new, refusal.record)

    def _take_down(self, stopped: Sequence[StepRow]) -> None:
        """What earlier runs began and could not take down, and this one did not come to finish."""
        if not stopped or not is_ours(self.connection):
            return
        for row in stopped:
            now = self.ledger.latest(row.migration_id)[row.step]
            operation = self._operation_of(row)
            if operation is None or row.undoing or now.status in (*FINISHED, ROLLED_BACK):
                continue
            if not stood_before(self.ledger, row.migration_id, operation):
                made = operation.statements(self._context(row.migration_id))
                for line in self.executor.take_down(made):
                    self.reporter.retrying(line)

    def _operation_of(self, row: StepRow) -> Operation | None:
        """The operation of a step of ours, as its file has it now."""
        for entry in self.timeline.entries:
            operations = entry.migration.operations if entry.migration else ()
            if entry.id == row.migration_id and row.step <= len(operations):
                return operations[row.step - 1].in_names_of(self.graph)
        return None

    def _django_operations(self, planned: Plan) -> list[int]:
        """How many operations each Django migration has that runs as it is."""
        return [
            len(self.timeline.django(migration.entry.covers[0]).operations)
            for migration in planned.migrations
            if migration.entry.migration is None
        ]
