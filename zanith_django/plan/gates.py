"""The gates: yes-or-no questions that a plan must pass before it runs. Plain functions.

`check` asks all of them; zanith_plan, zanith_apply, zanith_rollback and `zanith_generate --check`
call it. A new gate is a function in `GATES`, and a field of `Policy` if it has a setting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from zanith_django.conf import conf
from zanith_django.plan.plan import Plan, PlannedMigration, PlannedStep
from zanith_django.plan.reasons import reason
from zanith_django.timeline.timeline import dotted

INTEGRITY, COVERAGE, BUDGET, CONSENT = "integrity", "coverage", "budget", "consent"
REASONS, PREFLIGHT, VERIFIED = "reasons", "preflight", "verified"


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of a plan. `verified` is the required fingerprint, if any."""

    max_risk: int = 100
    allow_destructive: bool = False
    fail_on: tuple[str, ...] = ()
    require_verified: bool = False
    verified: str = ""
    refuse_uncovered: bool = True

    @property
    def asks_fingerprint(self) -> bool:
        return self.require_verified or bool(self.verified)

    def without_fingerprint(self) -> Policy:
        return dataclasses.replace(self, require_verified=False)

    def with_consent(self) -> Policy:
        """The policy after the user's consent to this very loss, which lifts the cap of the mode
        too."""
        return dataclasses.replace(self, max_risk=100, allow_destructive=True)

    def for_files(self) -> Policy:
        """For a plan of files alone: no fingerprint can be known, and a migration without a file
        can still get one."""
        return dataclasses.replace(self.without_fingerprint(), refuse_uncovered=True)

    @classmethod
    def of(
        cls,
        *,
        max_risk: int | None = None,
        allow_destructive: bool | None = None,
        fail_on: Iterable[str] | None = None,
        verified: str = "",
    ) -> Policy:
        """The policy of the settings; a given flag, which is not None, overrides its setting.
        Raises `UnknownReason`.
        """
        codes = conf.fail_on if fail_on is None else fail_on
        return cls(
            max_risk=conf.max_risk if max_risk is None else max_risk,
            allow_destructive=(
                conf.allow_destructive if allow_destructive is None else allow_destructive
            ),
            fail_on=tuple(reason(code).code for code in codes),
            require_verified=conf.require_verified,
            verified=verified,
            refuse_uncovered=conf.uncovered == "refuse",
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """One "no". `record` is what the ledger records of a refused step; `step` 0 is the
    migration."""

    gate: str
    migration: str
    step: int
    message: str
    record: str = ""
    target: str = ""

    def __str__(self) -> str:
        """With the migration, the table and the column."""
        where = f" ({self.target})" if self.target and self.target not in self.message else ""
        what = f"{self.message}{where}"
        return what if self.migration in what else f"{self.migration}: {what}"


Gate = Callable[[Plan, Policy], Iterator[Refusal]]


def check(plan: Plan, policy: Policy) -> list[Refusal]:
    """Every "no" of every gate, in the order of `GATES`."""
    return [refusal for gate in GATES for refusal in gate(plan, policy)]


def integrity(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """No file was edited after it ran; none that ran is missing; each finds what it names."""
    return (Refusal(INTEGRITY, flaw.migration, flaw.step, flaw.message) for flaw in plan.flaws)


def coverage(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """Every Django migration of a managed app after its `covered_after` has a file."""
    for key in plan.uncovered if policy.refuse_uncovered else ():
        message = f"no zanith migration · run zanith_generate {key[0]}"
        yield Refusal(COVERAGE, dotted(key), 0, message)


def preflight(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """No step is certain to fail on existing rows or objects. `approved` lifts it for an object
    that no model knows: another migration may remove it."""
    for migration, step in plan.steps:
        for collision in step.collisions if not step.approved else ():
            if collision.blocked:
                yield _refused(
                    PREFLIGHT, migration, step, f"is blocked: {collision}", str(collision.what)
                )
        for finding in step.findings:
            if finding.certain:
                yield _refused(PREFLIGHT, migration, step, f"is blocked: {finding}", finding.what)


def budget(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """No step scores over the budget; `approved` lifts it for single steps."""
    for migration, step in _unapproved(plan):
        if step.score > policy.max_risk:
            message = f"scores {step.score} · over the budget of {policy.max_risk}"
            yield _refused(BUDGET, migration, step, message, f"max risk {policy.max_risk}")


def consent(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """Nothing is removed unless the user asks for it."""
    for migration, step in _unapproved(plan) if not policy.allow_destructive else ():
        if step.destructive:
            message = "is destructive · needs --allow-destructive"
            yield _refused(CONSENT, migration, step, message, "destructive not allowed")


def reasons(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """No step has one of the unwanted reasons."""
    for migration, step in plan.steps:
        for code in step.assessment.reasons:
            if code in policy.fail_on:
                message = f"has the reason {code} · in --fail-on"
                yield _refused(REASONS, migration, step, message, f"fail on {code}")


def verified(plan: Plan, policy: Policy) -> Iterator[Refusal]:
    """The plan is exactly the one that zanith_verify found ok: same files, models and tables."""
    if not (policy.asks_fingerprint and plan.migrations) or policy.verified == plan.fingerprint:
        return
    message = (
        f"The fingerprint is {plan.fingerprint}, not {policy.verified}: files, models or tables "
        "changed since"
        if policy.verified
        else "The plan was not verified"
    )
    yield Refusal(VERIFIED, plan.migrations[0].id, 0, f"{message} · run zanith_verify")


GATES: tuple[Gate, ...] = (integrity, coverage, preflight, budget, consent, reasons, verified)
NAMES = tuple(gate.__name__ for gate in GATES)


INJECTED = (
    "A receiver of pre_migrate adds operations to the run. zanith_plan names the receivers; it "
    "does not show their operations."
)


def hint(refusals: Iterable[Refusal]) -> str:
    """The hint for refusals; "" for the usual one."""
    if any(refusal.gate == PREFLIGHT for refusal in refusals):
        return "Do what each line says after its dot; zanith_plan --preflight shows the whole plan."
    return ""


def _unapproved(plan: Plan) -> Iterator[tuple[PlannedMigration, PlannedStep]]:
    return ((migration, step) for migration, step in plan.steps if not step.approved)


def _title(step: PlannedStep) -> str:
    if step.injected:
        return f'"{step.operation.describe()}", which a receiver of pre_migrate added,'
    return f"Step {step.number:02d} ({step.kind})"


def _refused(
    gate: str, migration: PlannedMigration, step: PlannedStep, message: str, record: str
) -> Refusal:
    return Refusal(
        gate,
        migration.id,
        step.number,
        f"{_title(step)} {message}",
        record,
        "" if step.injected else step.operation.target,
    )
