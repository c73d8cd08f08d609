"""The fingerprint that zanith_verify prints and zanith_apply --verified requires."""

from __future__ import annotations

import dataclasses
import hashlib

from django.db.backends.base.base import BaseDatabaseWrapper

from zanith_django.plan.plan import Plan
from zanith_django.schema.graph import SchemaGraph
from zanith_django.timeline.project import declared


def fingerprint(models: SchemaGraph, planned: Plan, graph: SchemaGraph) -> str:
    """The hash of the files, the declared schema, and the touched tables before the plan."""
    touched = {name for _, step in planned.steps for name in step.operation.tables}
    parts = [
        *(m.entry.migration.checksum if m.entry.migration else m.id for m in planned.migrations),
        models.fingerprint(),
        graph.only(sorted(name for name in touched if name in graph)).fingerprint(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def fingerprinted(connection: BaseDatabaseWrapper, planned: Plan, graph: SchemaGraph) -> Plan:
    """The plan with its fingerprint, for the gate that compares it."""
    found = fingerprint(declared(connection).graph, planned, graph)
    return dataclasses.replace(planned, fingerprint=found)
