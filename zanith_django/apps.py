"""Names the app to Django and registers its checks."""

from django.apps import AppConfig


class ZanithConfig(AppConfig):
    name = "zanith_django"
    verbose_name = "Zanith"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from zanith_django import checks  # noqa: F401  # registers them
