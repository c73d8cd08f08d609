"""Which migrations changed since a commit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from zanith_django.exceptions import InvalidArgument
from zanith_django.files.files import own_labels
from zanith_django.timeline.sources import path_of
from zanith_django.timeline.timeline import Key, Timeline


def changed_since(ref: str, timeline: Timeline) -> list[str]:
    """Ids of the entries whose file git knows as new or changed since `ref`, or not at all: files
    of ours, and Django's that run as they are. Those of installed libraries do not count."""
    places = _places(timeline)
    changed: set[Path] = set()
    for folder in {path.parent for path in places.values()}:
        changed |= _changed_in(folder, ref)
    return [name for name, path in places.items() if path in changed]


def _places(timeline: Timeline) -> dict[str, Path]:
    """{id: the file}, in the order of the timeline."""
    own = own_labels()
    entries = (entry for entry in timeline.entries if entry.app_label in own)
    known = ((entry.id, path_of(timeline, entry)) for entry in entries)
    return {name: path.resolve() for name, path in known if path}


def _changed_in(folder: Path, ref: str) -> set[Path]:
    top = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    commit = _commit(folder, ref)
    names = _git(folder, "diff", "-z", "--name-only", "--diff-filter=d", commit, "--", ".")
    new = _git(folder, "ls-files", "-z", "--others", "--exclude-standard", "--full-name")
    return {(top / name).resolve() for name in (names + new).split("\0") if name}


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
