"""Arguments that name nothing, and missing answers."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from zanith_django.exceptions.base import Refused, UsageError


class InvalidArgument(UsageError):
    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


class InvalidName(UsageError):
    def __init__(self, name: str, why: str = "is not a table name") -> None:
        self.name, self.why = name, why
        self.hint = 'Write table, schema.table, or "schema"."table" with quotes.'
        super().__init__(name)

    def __str__(self) -> str:
        return f"{self.name!r} {self.why}."


class NameTooLong(InvalidName):
    def __init__(self, name: str) -> None:
        super().__init__(name, "is longer than 63 bytes, the limit of PostgreSQL")
        self.hint = "Choose a shorter name: PostgreSQL would truncate it silently."


class NoTerminal(Refused):
    def __init__(self, labels: Iterable[str]) -> None:
        self.hint = f"Run makemigrations {' '.join(labels)} in a terminal, then this command again."
        super().__init__("makemigrations asks a question, but there is no terminal to answer it.")


class RenameUnanswered(Refused):
    """makemigrations would ask whether something is renamed. `renames` are "old to new"."""

    def __init__(self, renames: Iterable[str], labels: Iterable[str]) -> None:
        self.renames, apps = tuple(renames), " ".join(labels)
        self.hint = (
            f"If so, run makemigrations {apps} in a terminal and answer yes. If not, run "
            f"makemigrations --no-input {apps}: the old one is removed, and the new one is empty."
        )
        super().__init__(*self.renames)

    def __str__(self) -> str:
        lines = "\n".join(f"  {rename}" for rename in self.renames)
        return f"makemigrations asks about renames, but there is no terminal to answer it:\n{lines}"


class UnknownApp(UsageError):
    def __init__(
        self, label: str, known: Iterable[str], why: str = "is not an installed app"
    ) -> None:
        self.label, self.known, self.why = label, tuple(sorted(known)), why
        self.hint = f"Managed apps: {', '.join(self.known) or 'none'}."
        super().__init__(label)

    def __str__(self) -> str:
        return f"{self.label!r} {self.why}."


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question at the beginning of a hint; "" if no known name is similar."""
    names = list(known)
    near = get_close_matches(typed, names, n=1) or [name for name in names if typed in name]
    return f"Did you mean {near[0]}? " if near else ""


class UnknownMigration(UsageError):
    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.hint = f"{did_you_mean(name, known)}Run zanith_status --all to see the migrations."
        super().__init__(name)

    def __str__(self) -> str:
        return f"There is no migration {self.name!r}."


class UnknownSchema(UsageError):
    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.hint = did_you_mean(name, known) + (
            "Type models, live, empty, the id of an applied migration (zanith_history lists them) "
            "or the path of a graph file."
        )
        super().__init__(name)

    def __str__(self) -> str:
        return f"There is no schema {self.name!r}."


class UnknownReason(UsageError):
    def __init__(self, code: str, known: Iterable[str]) -> None:
        self.code = code
        codes = list(known)
        self.hint = f"{did_you_mean(code, codes)}Known reasons: {', '.join(codes)}."
        super().__init__(code)

    def __str__(self) -> str:
        return f"There is no reason {self.code!r}."


class UnknownArtifact(UsageError):
    def __init__(self, name: str) -> None:
        self.name = name
        self.hint = "Run zanith_recover list to see the artifacts."
        super().__init__(name)

    def __str__(self) -> str:
        return f"There is no artifact for {self.name!r}."
