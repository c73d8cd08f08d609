"""The base of every error of the package: words, the next command and an exit code."""

from __future__ import annotations


class ZanithError(Exception):
    """Base of all; `returncode` is the exit code of a command that this error ends."""

    returncode = 1
    hint = ""


class Refused(ZanithError):
    returncode = 1


class UsageError(ZanithError):
    returncode = 2


class EnvironmentProblem(ZanithError):
    returncode = 3


INSUFFICIENT_PRIVILEGE = "42501"
RIGHTS_HINT = "docs/privileges.md lists the grants that the role needs and the tables that it owns."
