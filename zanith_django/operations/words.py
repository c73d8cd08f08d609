"""The unusual properties of a constraint, an index or a policy, in words for `describe()`.

Two objects of one name may differ only in these, and a reader of the difference has to see it.
"""

from __future__ import annotations

from zanith_django.schema.graph import (
    Check,
    ForeignKey,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    Unique,
)

_DEFERRABLE = {"": "", "immediate": "deferrable", "deferred": "initially deferred"}


def with_facts(text: str, *facts: str) -> str:
    """`text (fact, fact)`; the text alone if all facts are empty."""
    known = ", ".join(fact for fact in facts if fact)
    return f"{text} ({known})" if known else text


def index_facts(index: Index) -> tuple[str, ...]:
    return (
        "" if index.method == "btree" else index.method,
        *map(_key_fact, index.keys),
        _included(index.include),
        "nulls not distinct" if index.nulls_not_distinct else "",
        f"where {index.predicate}" if index.predicate else "",
        *_placed(index),
        "" if index.valid else "not valid",
    )


def _key_fact(key: IndexKey) -> str:
    """The properties of a key beside its column or expression, which the target names."""
    collation = f"collate {key.collation}" if key.collation else ""
    nulls = f"nulls {key.nulls.lower()}" if key.nulls else ""
    facts = " ".join(filter(None, (collation, key.opclass, key.order.lower(), nulls)))
    return f"{key.column or key.expression} {facts}" if facts else ""


def unique_facts(unique: Unique) -> tuple[str, ...]:
    return (
        _included(unique.include),
        "nulls not distinct" if unique.nulls_not_distinct else "",
        _DEFERRABLE[unique.deferrable],
        *_placed(unique),
    )


def primary_key_facts(key: PrimaryKey | None) -> tuple[str, ...]:
    return (_included(key.include), _DEFERRABLE[key.deferrable], *_placed(key)) if key else ()


def foreign_key_facts(key: ForeignKey) -> tuple[str, ...]:
    """The unusual properties of a foreign key. Initially deferred is the usual one, as in Django's
    keys."""
    return (
        "" if key.on_delete == "NO ACTION" else f"on delete {key.on_delete.lower()}",
        "" if key.on_update == "NO ACTION" else f"on update {key.on_update.lower()}",
        "" if key.match == "SIMPLE" else f"match {key.match.lower()}",
        "" if key.deferrable == "deferred" else _DEFERRABLE[key.deferrable] or "not deferrable",
        "" if key.valid else "not valid",
        "" if key.enforced else "not enforced",
        "period" if key.period else "",
    )


def check_facts(check: Check) -> tuple[str, ...]:
    return (
        "" if check.valid else "not valid",
        "" if check.enforced else "not enforced",
        "no inherit" if check.no_inherit else "",
    )


def policy_facts(policy: Policy) -> tuple[str, ...]:
    return (
        "" if policy.permissive else "restrictive",
        "" if policy.roles == ("public",) else f"to {', '.join(policy.roles)}",
        f"using {policy.using}" if policy.using else "",
        f"with check {policy.check}" if policy.check else "",
    )


def _placed(index: Index | Unique | PrimaryKey) -> tuple[str, ...]:
    return (*index.options, f"in tablespace {index.tablespace}" if index.tablespace else "")


def _included(columns: tuple[str, ...]) -> str:
    return f"including {', '.join(columns)}" if columns else ""
