"""Which migrations changed since a commit."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from zanith_django.exceptions import InvalidArgument
from zanith_django.files.migration import LoadedMigration
from zanith_django.timeline.timeline import Key


def changed_since(ref: str, files: Iterable[LoadedMigration]) -> list[str]:
    """Ids of the migration files that git knows as new or changed since `ref`, or not at all."""
    listed = list(files)
    changed: set[Path] = set()
    for folder in {Path(file.path).parent for file in listed}:
        top = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
        commit = _commit(folder, ref)
        names = _git(folder, "diff", "-z", "--name-only", "--diff-filter=d", commit, "--", ".")
        new = _git(folder, "ls-files", "-z", "--others", "--exclude-standard", "--full-name")
        changed |= {(top / name).resolve() for name in (names + new).split("\0") if name}
    return [file.id for file in listed if Path(file.path).resolve() in changed]


def missing_at(ref: str, files: Mapping[Key, Path]) -> frozenset[Key]:
    """Those of these Django migrations whose files git does not have at `ref`."""
    there: set[Path] = set()
    for folder in {path.parent for path in files.values()}:
        top = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
        commit = _commit(folder, ref)
        names = _git(folder, "ls-tree", "-z", "--name-only", "--full-name", commit, "./")
        there |= {(top / name).resolve() for name in names.split("\0") if name}
    return frozenset(key for key, path in files.items() if path.resolve() not in there)


def _commit(folder: Path, ref: str) -> str:
    """The hash of the commit that a user named; whatever it looks like, it is no option of git."""
    words = ("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    return _git(folder, *words).strip()


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except FileNotFoundError as error:
        raise InvalidArgument("A git ref needs git.", "Use --only ID instead.") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[0] if error.stderr.strip() else "git failed"
        raise InvalidArgument(f"git: {reason}", "Name a branch, tag or commit.") from error
    return done.stdout
