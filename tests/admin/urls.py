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


def page(name: str, *keys: str) -> str:
    return reverse(f"admin:zanith_django_{name}", args=[quote(key) for key in keys])


def every_page() -> dict[str, str]:
    """{name: address} of all pages that show rows, of `history`."""
    names = ("changelist", "backfills", "locks", "plan", "drift")
    found = {name: page(f"dashboard_{name}") for name in names}
    for model, both in pages().items():
        found |= {f"{model}_list": both[0], f"{model}_page": both[1]}
    snapshot = ("schemasnapshot", "picture", "svg", "mermaid", "ddl")
    found |= {n: page(f"schemasnapshot_{n}", APPLIED, "after") for n in snapshot[1:]}
    compare, steps = page("schemasnapshot_compare"), list_url("migrationstep")
    return found | {
        "two snapshots": f"{compare}?a={APPLIED}:before&b={APPLIED}:after",
        "a snapshot and the database": f"{compare}?a={APPLIED}&b=live",
        "a failed migration": detail_url("migration", BROKEN),
        "searched": f"{steps}?q=users.email",
        "a table": f"{steps}?table=users&since=2020-01-01&migration=last",
        "filtered": f"{steps}?status__exact=failed&risk_level__exact=safe&o=-6",
        "export": f"{page('migrationstep_csv')}?q=users",
        "artifact_rows": page("migrationartifact_rows", ARTIFACT),
    }
