"""Puts a new configuration in its place, all of it or nothing, whenever this process may be killed.

First everything is written beside its place under a name that nobody reads. The last of these, the new configuration
file, is complete the moment it has its name there: from then on the rest is only renaming, which the next run of
`wbagent init` does to its end. Credentials come before the file, since alone they change nothing (config/loading.py).
"""

from __future__ import annotations

import grp
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.config.sources import CREDENTIAL_PREFIX
from wbagent.durable import new_file, sync_directory
from wbagent.held_signals import held_signals
from wbagent.setup.existing import ExistsError

# Not wbagent.*, which systemd would import, nor *.toml, which would be read.
_STAGED: Final = ".wbagent-init."


@dataclass(frozen=True, slots=True)
class Places:
    """Where it goes. `stores` are those of credentials, encrypted and plain."""

    configuration: Path
    stores: tuple[Path, ...] = (Path("/etc/credstore.encrypted"), Path("/etc/credstore"))

    @property
    def complete(self) -> Path:
        """The new configuration file before it has its place: it is there when all is written."""
        return self.configuration.with_name(f".{self.configuration.name}.init")


def pending(places: Places) -> bool:
    """Whether an earlier run was killed after everything was written and before everything was in its place."""
    return places.complete.exists()


def write(places: Places, text: str, credentials: Mapping[str, bytes], store: Path) -> None:
    """Write the configuration file and these credentials, by name, into `store`.

    Invariant: killed at any moment it leaves what was there before, or more credentials, which alone change nothing;
    after `pending` has become true, `finish` completes it. Nothing that exists is replaced but a configuration file
    that sets nothing, which the caller has made sure of. Signals of the terminal wait until it is done. Raises OSError.
    """
    with held_signals():
        clear(places)
        try:
            for name, content in credentials.items():
                _write_new(store / f"{_STAGED}{name}", content, 0o600)
            if credentials:
                sync_directory(store)
            unfinished = places.complete.with_name(f"{places.complete.name}.new")
            _write_new(unfinished, text.encode(), 0o640, like=places.configuration)
        except OSError:
            clear(places)
            raise
        unfinished.rename(places.complete)
        sync_directory(places.complete.parent)
        finish(places)


def finish(places: Places) -> None:
    """Put everything that is written into its place; does nothing where it is there. Raises OSError, ExistsError."""
    with held_signals():
        for store in places.stores:
            staged = _staged(store)
            for path in staged:
                path.rename(_free(store / path.name.removeprefix(_STAGED)))
            if staged:
                sync_directory(store)
        places.complete.rename(places.configuration)
        sync_directory(places.configuration.parent)


def clear(places: Places) -> None:
    """Remove what a run left that was killed before everything was written. Raises OSError."""
    if pending(places):
        return
    places.complete.with_name(f"{places.complete.name}.new").unlink(missing_ok=True)
    for store in places.stores:
        for path in _staged(store):
            path.unlink(missing_ok=True)


def write_apart(path: Path, text: str) -> None:
    """Make a file of its own that holds everything, for its owner alone. Raises ExistsError, OSError."""
    fresh = path.with_name(f".{path.name}.new")
    with held_signals():
        fresh.unlink(missing_ok=True)
        _write_new(fresh, text.encode(), 0o600)
        try:
            # Not a rename, which would replace a file that came meanwhile.
            os.link(fresh, path)
        except FileExistsError:
            raise ExistsError(f"{path} exists, and stays as it is", hint="name another file, or move it away") from None
        finally:
            fresh.unlink()
        sync_directory(path.parent)


def _staged(store: Path) -> list[Path]:
    return sorted(store.glob(f"{_STAGED}{CREDENTIAL_PREFIX}*"))


def _free(path: Path) -> Path:
    if path.exists():
        raise ExistsError(
            f"{path} has come while the configuration was written", hint=f"remove it, or {path.with_name(_STAGED)}*"
        )
    return path


def _write_new(path: Path, content: bytes, mode: int, like: Path | None = None) -> None:
    """A new file with this content; with the owner that its place wants, where it is `like` another."""
    if like is None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    with new_file(path, mode) as file:
        if like is not None:
            os.fchown(file.fileno(), *_owner(like))
        file.write(content)


def _owner(path: Path) -> tuple[int, int]:
    """As the file that it takes the place of, or as the package installs it."""
    with suppress(FileNotFoundError):
        known = path.stat()
        return known.st_uid, known.st_gid
    with suppress(KeyError):
        return 0, grp.getgrnam("wbagent").gr_gid
    return os.geteuid(), os.getegid()
