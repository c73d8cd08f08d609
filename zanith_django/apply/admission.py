"""The checks before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.migrations.operations.base import Operation as MigrationOperation

from zanith_django.apply.rows import (
    pending_step,
)
from zanith_django.apply.state import RunState
from zanith_django.exceptions import (
    FileEdited,
    FileMissing,
    GateRefused,
    HalfRolledBack,
)
from zanith_django.files.migration import is_djangos
from zanith_django.ledger.step_rows import (
    DONE,
    FINISHED,
    ROLLED_BACK,
)
from zanith_django.ledger.steps import StepRow
from zanith_django.operations.base import Context, Operation
from zanith_django.plan import gates
from zanith_django.plan.coverage import covered
from zanith_django.plan.fingerprint import fingerprinted
from zanith_django.plan.gates import Policy, Refusal
from zanith_django.plan.misses import TAKEN
from zanith_django.plan.observed import with_observed
from zanith_django.plan.plan import Plan, until
from zanith_django.plan.planner import Injected, plan
from zanith_django.plan.preflight import Look, looked_at
from zanith_django.run.audit import (
    is_ours,
)
from zanith_django.run.taken_names import taken_before


class Admission:
    """Refusals, the plan and its gates."""

    def __init__(self, run: RunState) -> None:
        self._run = run

    def refuse_half_rolled_back(self) -> None:
        for name in self._run.ledger.half_rolled_back():
            raise HalfRolledBack(name)

    def follow_django(self) -> None:
        """Brings the ledger in agreement with Django's record, which decides which of Django's
        migrations are applied. A migration that failed as a whole and will not run again is
        ignored."""
        pending = {entry.id: entry for entry in self._run.timeline.pending}
        failed = {row.migration_id for row in self._run.ledger.unfinished()} - pending.keys()
        with transaction.atomic(using=self._run.connection.alias):
            for entry in pending.values():
                if entry.taken_back:
                    self._run.ledger.take_back(entry.id)
            for name in failed:
                rows = self._run.ledger.latest(name).values()
                if is_djangos(name) and all(row.status != DONE for row in rows):
                    self._run.ledger.give_up(name)

    def admitted(
        self, context: Context, stopped: Sequence[StepRow], injected: Injected | None = None
    ) -> Plan:
        """The plan, once it has passed preflight and the gates. It is asked for again, with the
        operations that receivers of pre_migrate `injected`, before the first step."""
        planned = self.looked_at(self.plan(context, injected), context, stopped)
        self.pass_gates(planned, injected=injected is not None)
        return planned

    def plan(self, context: Context, injected: Injected | None = None) -> Plan:
        """The plan, limited by --steps and --to."""
        whole = plan(
            self._run.timeline,
            database=self._run.connection.alias,
            context=context,
            ledger=self._run.ledger,
            injected=injected,
        )
        given = self._run.options
        whole = covered(with_observed(whole, given.observed), self._run.timeline)
        return until(whole, self._run.timeline, count=given.count, to=given.to)

    def looked_at(self, planned: Plan, context: Context, stopped: Iterable[StepRow]) -> Plan:
        """The plan with the findings of preflight, unless gates or preflight are turned off."""
        if not (self._run.options.gated and self._run.options.preflight):
            return planned
        begun = {(row.migration_id, row.step) for row in stopped}
        return looked_at(self._run.connection, planned, context, Look(), begun)

    def pass_gates(self, planned: Plan, *, injected: bool) -> None:
        """Asks the gates. The fingerprint is that of the files, without `injected` operations, and
        is compared once."""
        given = self._run.options
        if not given.gated:
            return
        policy = Policy.of(
            max_risk=given.max_risk,
            allow_destructive=given.allow_destructive,
            fail_on=given.fail_on,
            verified=given.verified,
        )
        if injected:
            policy = dataclasses.replace(policy, require_verified=False, verified="")
        if policy.asks_fingerprint:
            planned = fingerprinted(self._run.connection, planned, self._run.graph)
        refusals = gates.check(planned, policy)
        for flaw in planned.flaws:
            error = FileMissing if flaw.missing else FileEdited
            raise error(flaw.migration, flaw.message)
        if refusals:
            if any(found.reason == TAKEN for _, step in planned.steps for found in step.collisions):
                self._run.states.refuse_gap()
            self._record_refusals(planned, refusals)
            hint = gates.hint(refusals) or (gates.INJECTED if injected else "")
            raise GateRefused(dict.fromkeys(map(str, refusals)), hint)

    def _record_refusals(self, planned: Plan, refusals: Iterable[Refusal]) -> None:
        """One failed row per refused step, with the first gate that refused it. Injected
        operations have no row."""
        steps = {(m.id, step.number): step for m in planned.migrations for step in m.steps}
        first: dict[tuple[str, int], Refusal] = {}
        for refusal in refusals:
            if (refusal.migration, refusal.step) in steps:
                first.setdefault((refusal.migration, refusal.step), refusal)
        with transaction.atomic(using=self._run.connection.alias):
            for (migration_id, number), refusal in first.items():
                new = pending_step(steps[migration_id, number])
                self._run.ledger.refuse(migration_id, new, refusal.record)

    def remove_leftovers(self, stopped: Sequence[StepRow]) -> None:
        """Removes objects that earlier runs left and this run did not finish."""
        if not stopped or not is_ours(self._run.connection):
            return
        for row in stopped:
            now = self._run.ledger.latest(row.migration_id)[row.step]
            operation = self._operation_of(row)
            if operation is None or row.undoing or now.status in (*FINISHED, ROLLED_BACK):
                continue
            if not taken_before(self._run.ledger, row.migration_id, operation):
                made = operation.statements(self._run.context(row.migration_id))
                for line in self._run.executor.remove_disruptive(made):
                    self._run.reporter.retrying(line)

    def _operation_of(self, row: StepRow) -> Operation | None:
        """The operation of a step of ours in the current file."""
        for entry in self._run.timeline.entries:
            operations = entry.migration.operations if entry.migration else ()
            if entry.id == row.migration_id and row.step <= len(operations):
                return operations[row.step - 1].in_names_of(self._run.graph)
        return None

    def django_operations(self, planned: Plan) -> list[list[MigrationOperation]]:
        """The operations of each Django migration without a file."""
        return [
            list(self._run.timeline.django(migration.entry.covers[0]).operations)
            for migration in planned.migrations
            if migration.entry.migration is None
        ]
