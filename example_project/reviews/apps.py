"""Names the app to Django."""

from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    name = "example_project.reviews"
