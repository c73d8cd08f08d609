"""The arguments that several commands take, and their types."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from zanith_django.plan.drift import ANY, BEFORE, PLAN
from zanith_django.plan.gates import Policy


def seconds(text: str) -> float:
    """A duration in seconds."""
    value = float(text)
    if not value >= 0:
        raise ArgumentTypeError(f"{text} is not a time to wait: write 0 or more seconds")
    return value


def add_lock_wait(parser: ArgumentParser) -> None:
    """The arguments of every command that changes a database."""
    parser.add_argument(
        "--lock-wait",
        type=seconds,
        metavar="SECONDS",
        help="How long to wait for another run to end; 0 refuses at once.",
    )


def add_refusals(parser: ArgumentParser) -> None:
    """The arguments of every command that verifies."""
    parser.add_argument(
        "--refuse-drift",
        choices=(PLAN, BEFORE, ANY),
        default=PLAN,
        help="Which differences give exit 1: those that the plan leaves (the default), those that "
        "the database had before it, or any.",
    )
    parser.add_argument(
        "--allow-surprises",
        action="store_true",
        help="List locks, rewrites and drops that the plan does not promise, and continue.",
    )


def score(text: str) -> int:
    """A score of risk."""
    value = int(text)
    if not 0 <= value <= 100:
        raise ArgumentTypeError(f"{text} is not from 0 to 100")
    return value


def add_max_risk(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--max-risk",
        type=score,
        metavar="SCORE",
        help="Refuse a step that scores higher; by default MAX_RISK, or the cap of the mode.",
    )


def add_budget_arguments(parser: ArgumentParser, allow: str) -> None:
    """How risky a step may be; `allow` is the help of `--allow-destructive`."""
    add_max_risk(parser)
    parser.add_argument("--allow-destructive", action="store_true", default=None, help=allow)


def add_gate_arguments(parser: ArgumentParser) -> None:
    """The arguments of the gates; `policy_of` reads them."""
    add_budget_arguments(parser, "Allow steps that remove data.")
    parser.add_argument(
        "--fail-on", nargs="+", metavar="REASON", help="Refuse a step with one of these reasons."
    )
    parser.add_argument(
        "--observed",
        metavar="FILE",
        help="Judge raw SQL and Python by their effects on a shadow: the output of "
        "zanith_verify --format json.",
    )
    parser.add_argument(
        "--verified",
        default="",
        metavar="FINGERPRINT",
        help="Refuse any plan but the one that zanith_verify printed this fingerprint for.",
    )


def add_range_arguments(parser: ArgumentParser) -> None:
    """The arguments that limit the migrations."""
    parser.add_argument("--steps", type=int, metavar="N", help="Only the next N migrations.")
    parser.add_argument("--to", default="", metavar="ID", help="Stop after this migration.")


def policy_of(options: dict[str, Any]) -> Policy:
    """The settings and the flags of `add_gate_arguments`. Raises `UnknownReason`."""
    return Policy.of(
        max_risk=options["max_risk"],
        allow_destructive=options["allow_destructive"],
        fail_on=options["fail_on"],
        verified=options["verified"],
    )
