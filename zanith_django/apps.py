"""Names the app to Django, registers its checks and its guard over plain `migrate`."""

from django.apps import AppConfig
from django.db.models.signals import pre_migrate


class ZanithConfig(AppConfig):
    name = "zanith_django"
    verbose_name = "Zanith"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from zanith_django import checks  # noqa: F401  # registers them
        from zanith_django.migrate_guard import refuse_plain_migrate

        pre_migrate.connect(refuse_plain_migrate, sender=self)
