"""The addresses of the ledger's pages."""

from django.contrib.admin.utils import quote
from django.urls import reverse

from tests.admin.conftest import APPLIED, ARTIFACT, BROKEN

MODELS = (
    "migration",
    "migrationstep",
    "schemasnapshot",
    "migrationartifact",
    "migrationcheckpoint",
)


def list_url(model: str) -> str:
    return reverse(f"admin:zanith_django_{model}_changelist")


def detail_url(model: str, *keys: str) -> str:
    return reverse(f"admin:zanith_django_{model}_change", args=[quote(key) for key in keys])


def pages() -> dict[str, list[str]]:
    """{model: its list and a detail page of `history`}."""
    details = {
        "migration": (APPLIED,),
        "migrationstep": (f"{BROKEN}::0002",),
        "schemasnapshot": (APPLIED, "after"),
        "migrationartifact": (ARTIFACT,),
        "migrationcheckpoint": (f"{BROKEN}::0001",),
    }
    return {model: [list_url(model), detail_url(model, *details[model])] for model in MODELS}
