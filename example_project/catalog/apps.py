"""Names the app to Django."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "example_project.catalog"
