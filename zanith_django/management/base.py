"""The base of all commands: arguments, checks, errors as exit codes, JSON alone on stdout."""

from __future__ import annotations

import codecs
import json
import os
import re
import signal
import sys
import threading
import traceback
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO, cast

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    OutputWrapper,
    SystemCheckError,
)
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError
from django.utils.connection import ConnectionDoesNotExist

from zanith_django.conf import conf, problems
from zanith_django.exceptions import (
    BadSetting,
    EnvironmentProblem,
    RefusedByServer,
    UsageError,
    ZanithError,
)
from zanith_django.exceptions.arguments import did_you_mean
from zanith_django.exceptions.masking import masked
from zanith_django.management.output import Output, visible
from zanith_django.postgres.session import connect, sqlstate
from zanith_django.run import collector

INTERRUPTED = 130

# Control characters that JSON allows in its strings.
_C1 = re.compile("[\x7f-\x9f\u2028\u2029]")


class HelpfulParser(CommandParser):
    """Suggests a known option for a mistyped one, and the command that lists all options."""

    mistyped: Sequence[str] = ()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses an empty value: in a script that is an unset variable."""
        flag = "an argument"
        for word in args or ():
            flag = word.removesuffix("=") if word.startswith("--") else flag
            if not word or (word.startswith("--") and word.endswith("=")):
                self.error(f"{flag} was given an empty value")
        return super().parse_args(args, namespace)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Keeps the options that no parser knows, for the message of the error to come."""
        parsed, unknown = super().parse_known_args(args, namespace)
        self.mistyped = [word for word in unknown if word.startswith("--")]
        return parsed, unknown

    def error(self, message: str) -> Any:
        known = list(self._option_string_actions)
        meant = did_you_mean(self.mistyped[0], known) if self.mistyped else ""
        super().error(f"{message}\n{meant}Run {self.prog} --help to see the options.")


class ZanithCommand(BaseCommand):
    """Base of every command. `run` does the work; its errors become exit codes."""

    # They run in `handle`, so that call_command runs them too and they end with our exit codes.
    requires_system_checks = ()

    # Does `run` run the system checks, beside other work?
    checks_beside = False

    # Is its output its purpose? A run continues if stdout is closed.
    shows = True

    _set_aside: BaseDatabaseWrapper | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):  # https://no-color.org
            options["no_color"] = True
        super().__init__(*args, **options)

    def run_from_argv(self, argv: list[str]) -> None:
        sys.excepthook = print_masked  # for --traceback and unexpected errors
        super().run_from_argv(argv)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.__class__ = HelpfulParser  # no setting of Django's; verbs' parsers inherit it
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help='The database to work on; "default" unless given.',
        )
        self.add_own_arguments(parser)

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Arguments of this command alone."""

    def run(self, **options: Any) -> None:
        """The work of this command. Raises `ZanithError`."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        stream: Any = self.stdout
        while isinstance(stream, OutputWrapper):  # one command may call another
            stream = stream._out
        output = self.stdout = Output(cast(TextIO, stream))
        try:
            self._handle(options)
        finally:
            output.flush()
        if self.shows and output.lost and not isinstance(output.lost, BrokenPipeError):
            message = f"Standard output cannot be written: {output.lost.strerror}."
            raise CommandError(message, returncode=EnvironmentProblem.returncode)

    def _handle(self, options: dict[str, Any]) -> None:
        try:
            with collector.relaxed():
                self._check(options["database"])
                if not self.checks_beside:
                    self.check_project()
                self.run(**options)
        except KeyboardInterrupt as error:
            raise CommandError(
                "Interrupted. Run the same command again: it resumes.",
                returncode=error.returncode if isinstance(error, _Ended) else INTERRUPTED,
            ) from error
        except ZanithError as error:
            raise command_error(error) from error
        except SystemCheckError as error:
            raise plain_error(str(error)) from error
        except ImproperlyConfigured as error:
            raise plain_error(str(error)) from error
        except (DatabaseError, psycopg.Error) as error:
            raise command_error(RefusedByServer(error, sqlstate(error))) from error
        finally:
            if self._set_aside:
                connections[options["database"]].close()
                connections[options["database"]] = self._set_aside

    def _check(self, alias: str) -> None:
        for name, problem in problems():
            raise BadSetting(name, problem)
        try:
            connections[alias]
        except ConnectionDoesNotExist as error:
            known = ", ".join(connections)
            raise command_error(_UnknownDatabase(alias, known)) from error

    def check_project(self) -> None:
        """Static checks only: a command opens its connection itself. Raises `SystemCheckError`."""
        self.check(databases=[])

    def connect(self, alias: str) -> BaseDatabaseWrapper:
        return connect(alias)

    def connect_directly(self, alias: str) -> BaseDatabaseWrapper:
        """The connection for a run that takes the lock: for the default database the alias of the
        setting DIRECT, which bypasses a pooling proxy. During the run it has the name of the alias,
        so that routers and the code of data steps use this session."""
        direct = conf.direct if alias == DEFAULT_DB_ALIAS else ""
        if direct in ("", alias):
            return connect(alias)
        self._set_aside = connections[alias]
        connections[alias] = connections[direct].copy(alias=alias)
        return connect(alias, named=direct)

    def say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)

    def print_json(self, data: object) -> None:
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        plain = codecs.lookup(encoding).name != "utf-8"
        text = json.dumps(data, indent=2, ensure_ascii=plain, default=str)
        self.stdout.write(_C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


class _Ended(KeyboardInterrupt):
    """Another process ended this one; the cleanup is that of Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.returncode = 128 + number  # as a shell reports it
        super().__init__()


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the work as Ctrl-C does, with its cleanup."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise _Ended(number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _UnknownDatabase(UsageError):
    def __init__(self, alias: str, known: str) -> None:
        self.hint = f"DATABASES has: {known}."
        super().__init__(f"There is no database {alias!r}.")


def command_error(error: ZanithError) -> CommandError:
    """The error in words, with the command to type next and its exit code."""
    text = f"{error}\n{error.hint}" if error.hint else str(error)
    return plain_error(text, error.returncode)


def plain_error(text: str, returncode: int = EnvironmentProblem.returncode) -> CommandError:
    """The error without passwords, and with control characters spelled out."""
    return CommandError(visible(masked(text)), returncode=returncode)


def print_masked(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    """Prints a traceback without passwords, because it quotes the errors that led to this one."""
    for line in traceback.format_exception(kind, error, where):
        sys.stderr.write(visible(masked(line)))
