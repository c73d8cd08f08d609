"""Asks the shop's embedded PostgreSQL for its state or URL, or stops it."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandParser

from example_project import database


class Command(BaseCommand):
    help = "The embedded PostgreSQL that serves the shop while DATABASE_URL is not set."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["status", "url", "stop"])

    def handle(self, *, action: str, **options: object) -> None:
        self.stdout.write(database.answer(action))
