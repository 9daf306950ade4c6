"""A cache of costly directories (root file systems, image trees), each keyed by its recipe."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_in_use: dict[Path, int] = {}


def cache_directory() -> Path:
    """Return the directory of all cached parts: `$WBAGENT_CACHE`, else `~/.cache/wbagent`; made when missing."""
    directory = Path(os.environ.get("WBAGENT_CACHE") or Path.home() / ".cache" / "wbagent").absolute()
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def cached(name: str, recipe: str, build: Callable[[Path], None]) -> Path:
    """Return the directory that `build` makes from `recipe`, building it only when it is not there yet.

    `build` is called with an empty directory and may take its time: other callers for the same
    name wait. The result appears under its final name only when complete, so an interrupted build
    leaves nothing that could be taken for a good one. Treat the result as read-only. Results of
    older recipes of the same name are removed unless a process still uses them.
    """
    entry = entry_path(name, recipe)
    with locked(f"{name}.build"):
        if not entry.is_dir():
            partial = entry.with_name(f".{name}.partial")
            remove_tree(partial)
            partial.mkdir()
            build(partial)
            partial.rename(entry)
        _hold(entry)
        _remove_older(name, entry)
    return entry


def entry_path(name: str, recipe: str) -> Path:
    """Return where `cached` keeps the directory, whether it is there or not."""
    return cache_directory() / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` of the cache directory; waits for its other holder, threads included."""
    descriptor = os.open(cache_directory() / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a directory that may hold files of any owner; never crosses into a mounted file system."""
    subprocess.run(["rm", "-rf", "--one-file-system", "--", path], check=True)


def _lock_of(entry: Path) -> Path:
    return entry.with_name(f".{entry.name}.used")


def _hold(entry: Path) -> None:
    """Mark the entry as used until this process ends."""
    if entry not in _in_use:
        descriptor = os.open(_lock_of(entry), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _in_use[entry] = descriptor


def _remove_older(name: str, current: Path) -> None:
    # A host that was kept running outlives the process that held the lock, but not its own mount.
    mounts = Path("/proc/self/mountinfo").read_text()
    for entry in current.parent.glob(f"{name}-{'[0-9a-f]' * 12}"):
        if entry == current or str(entry) in mounts:
            continue
        descriptor = os.open(_lock_of(entry), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(entry)
            _lock_of(entry).unlink()
        finally:
            os.close(descriptor)
