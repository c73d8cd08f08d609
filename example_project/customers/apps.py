"""Names the app to Django."""

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "example_project.customers"
