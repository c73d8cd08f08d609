"""The app's configuration: registers its system checks and its guard against a plain `migrate`."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import pre_migrate


class ZanithConfig(AppConfig):
    name = "zanith_django"
    verbose_name = "Zanith"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from zanith_django import checks  # noqa: F401  # registers them

        pre_migrate.connect(_before_migrate, sender=self)


def _before_migrate(**kwargs: Any) -> None:
    """Imports the ledger only for `migrate`: every process of the project starts with this app."""
    from zanith_django.timeline.migrate_guard import refuse_plain_migrate, report_leaving

    refuse_plain_migrate(**kwargs)
    report_leaving(**kwargs)
