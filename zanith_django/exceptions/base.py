"""What every error of the package has: its words, the next command, and its exit code."""

from __future__ import annotations


class ZanithError(Exception):
    """Base of all; `returncode` is the exit code of a command that ends with it."""

    returncode = 1
    hint = ""


class Refused(ZanithError):
    returncode = 1


class UsageError(ZanithError):
    returncode = 2


class EnvironmentProblem(ZanithError):
    returncode = 3


INSUFFICIENT_PRIVILEGE = "42501"
RIGHTS_HINT = "docs/privileges.md says which grants the role needs, and which tables it owns."
