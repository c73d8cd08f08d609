"""Names the app to Django."""

from django.apps import AppConfig


class ZanithConfig(AppConfig):
    name = "zanith_django"
    default_auto_field = "django.db.models.BigAutoField"
