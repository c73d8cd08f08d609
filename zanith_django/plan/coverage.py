"""Which Django migrations of managed apps have no migration file of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from django.apps import AppConfig

from zanith_django.conf import conf
from zanith_django.exceptions import BrokenFile
from zanith_django.files.files import covered_after, folder_of, managed_apps
from zanith_django.plan.plan import Plan
from zanith_django.timeline.timeline import Key, Timeline, django_order


def covered(planned: Plan, timeline: Timeline) -> Plan:
    """The plan with the migrations that need a file, for the gate that asks. Raises
    `NoManagedApps`."""
    return dataclasses.replace(planned, uncovered=tuple(without_file(timeline)))


def without_file(timeline: Timeline) -> list[Key]:
    """Those after the `covered_after` of their app, in order.

    An app without a folder of ours does not use zanith yet: Django runs its migrations,
    unless setting UNCOVERED is "refuse".
    """
    strict = [
        config
        for config in managed_apps()
        if conf.uncovered == "refuse" or (folder_of(config) / "__init__.py").exists()
    ]
    return uncovered(timeline, strict)


def uncovered(
    timeline: Timeline, managed: Iterable[AppConfig], since: Mapping[str, str] | None = None
) -> list[Key]:
    """Django migrations of managed apps that need a file and have none, in order. `since`
    has the last one of each app that needs none; by default its folder names it."""
    after = since or {config.label: last_free(timeline, config) for config in managed}
    covered = {key for entry in timeline.entries if entry.migration for key in entry.covers}
    missing = []
    passed = {label for label, last in after.items() if not last}
    for key in django_order(timeline.loader):
        if key[0] in passed and key not in covered and not timeline.is_made_of(key, covered):
            missing.append(key)
        if after.get(key[0]) == key[1]:
            passed.add(key[0])
    return missing


def last_free(timeline: Timeline, config: AppConfig) -> str:
    """`covered_after` of an app, or the squash that replaces it now. Raises `BrokenFile`."""
    last = covered_after(config)
    label, graph = config.label, timeline.loader.graph
    names = [key[1] for key in graph.nodes if key[0] == label]
    if not last or not names or last in names:
        return last
    (resolved,) = timeline.resolved([(label, last)])
    if resolved in graph.nodes:
        return resolved[1]
    (near,) = get_close_matches(last, names, n=1, cutoff=0)
    raise BrokenFile(
        folder_of(config) / "__init__.py",
        f"covered_after names {last!r}, which {label} does not have; did you mean {near!r}?",
        hint="Write the last Django migration that needs no file of ours.",
    )
