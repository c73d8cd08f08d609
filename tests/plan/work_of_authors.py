"""Code that migrations of the cases call."""

from __future__ import annotations

from typing import Any

from django.db import connection


def clean_up() -> None:
    connection.cursor().execute("DELETE FROM anything")


class CleanUp:
    def __init__(self, apps: Any) -> None:
        self.apps = apps

    def start(self) -> None:
        with connection.schema_editor() as editor:
            editor.delete_model(self.apps.get_model("auth", "User"))
