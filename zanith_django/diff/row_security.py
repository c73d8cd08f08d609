"""Row security and the policies of tables."""

from __future__ import annotations

from collections.abc import Iterator

from zanith_django import operations as ops
from zanith_django.diff.differ import Differ
from zanith_django.diff.pairs import Pair
from zanith_django.operations.base import Operation
from zanith_django.operations.parts import adding


def row_security_off(d: Differ) -> Iterator[Operation]:
    """Turns row security off before its policies are dropped: without a policy, the roles that it
    applies to see no row."""
    for pair in d.pairs():
        if pair.current.row_security and not pair.wanted.row_security:
            force = pair.current.force_row_security
            yield ops.DisableRls(table=pair.name, force=force, model=d.label(pair.name))


def altered_policies(pair: Pair) -> set[str]:
    """Names of policies that change in place, by themselves or with the type of a column."""
    with_types = (pair.policies_with(old.name) for old, _ in pair.retyped)
    return {old.name for pairs in (pair.altered_policies(), *with_types) for old, _ in pairs}


def row_security_on(d: Differ) -> Iterator[Operation]:
    """Turns row security on after its policies exist: without a policy, the roles that it applies
    to see no row."""
    for pair in d.pairs():
        name, label = pair.name, d.label(pair.name)
        altered = pair.altered_policies()
        for old_policy, policy in altered:
            yield ops.AlterPolicy(table=name, old=old_policy, new=policy, model=label)
        known = {policy.name for policy in (*pair.current.policies, *(new for _, new in altered))}
        for policy in pair.wanted.policies:
            if policy.name not in known:
                yield adding(name, policy, label)
        old = (pair.current.row_security, pair.current.force_row_security)
        force = pair.wanted.force_row_security
        if pair.wanted.row_security and old != (True, force):
            yield ops.EnableRls(table=name, force=force, already=old[0], model=label)
