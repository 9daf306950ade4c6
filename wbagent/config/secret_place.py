"""Where a connection string with its password is put: an encrypted systemd credential, or a file of its own."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from wbagent.config.credstore import sealed, unseal, why_not_sealed
from wbagent.config.layers import KeyPath
from wbagent.config.sources import CREDENTIAL_PREFIX
from wbagent.durable import whole_file
from wbagent.errors import ConfigError, StateError, UsageError

CREDENTIAL: Final = "credential"
_STORE: Final = Path("/etc/credstore.encrypted")
_GROUP_READS: Final = 0o640
_FILES: Final = Path("/etc/wbagent.toml.d")


class SecretPlace(Protocol):
    """One place for one secret of the configuration."""

    def read(self) -> str | None:
        """What it holds; None when it holds nothing. Raises ConfigError."""

    def write(self, text: str) -> None:
        """Put it there, whole or not at all, on the disk when this returns. Raises ConfigError, StateError."""

    @property
    def line(self) -> str:
        """What names it in the configuration; "" when nothing has to."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file that root and group wbagent can read."""

    key: KeyPath
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def line(self) -> str:
        return f'[{self.key[0]}]\n{self.key[1]}_file = "{self.path}"'

    def read(self) -> str | None:
        try:
            return self.path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError(f"{self.path}: cannot be read: {reason}", hint="run this as root (sudo)") from None

    def write(self, text: str) -> None:
        put_file(self.path, f"{text}\n".encode(), _GROUP_READS if _chgrp_can_be_done() else 0o600)


@dataclass(frozen=True, slots=True)
class CredentialPlace:
    """A credential that only this host's systemd can decrypt, and hands to wbagent's units."""

    key: KeyPath

    @property
    def name(self) -> str:
        """As the units import it."""
        return f"{CREDENTIAL_PREFIX}{'.'.join(self.key)}"

    @property
    def path(self) -> Path:
        """The encrypted file."""
        return _STORE / self.name

    def __str__(self) -> str:
        return f"the credential {self.path}"

    @property
    def line(self) -> str:
        return ""

    def read(self) -> str | None:
        return (unseal(self.path) or None) if self.path.exists() else None

    def write(self, text: str) -> None:
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
        put_file(self.path, sealed(self.name, text), 0o600)


def place_for(key: KeyPath, wanted: str | None, *, of_this_host: bool) -> SecretPlace:
    """The place that is `wanted` ("credential", or a file's path); by default a credential where one can be had.

    What is not `of_this_host` is for another one, which could not decrypt it: that is put into a file.
    Raises UsageError for a place that cannot be had.
    """
    file = FilePlace(key, _FILES / ".".join(key))
    if wanted is None:
        return CredentialPlace(key) if of_this_host and not why_no_credentials() else file
    if wanted == CREDENTIAL:
        if reason := why_no_credentials():
            raise UsageError(f"no credential can be made here: {reason}", hint=f"name a file instead: {file.path}")
        return CredentialPlace(key)
    if not Path(wanted).is_absolute():
        raise UsageError(f"{wanted!r} is not the absolute path of a file", hint=f"such as {file.path}")
    return FilePlace(key, Path(wanted))


def why_no_credentials() -> str:
    """Why no credential can be made here that wbagent's units get; "" when one can."""
    if os.geteuid() != 0:
        return "only root can make one"
    if not Path("/run/systemd/system").is_dir():
        return "this host does not run systemd"
    return why_not_sealed()


def put_file(path: Path, content: bytes, mode: int) -> None:
    """Give a file this content, whole or not at all, for group wbagent where the group may read it.

    Raises StateError.
    """
    try:
        with whole_file(path, mode) as file:
            file.write(content)
            if mode == _GROUP_READS:
                shutil.chown(file.name, group="wbagent")
    except OSError as error:
        raise StateError(
            f"{path} cannot be written: {error.strerror}", hint="run this as root (sudo), make its directory or room"
        ) from None


def _chgrp_can_be_done() -> bool:
    import grp  # noqa: PLC0415 - here only

    try:
        return os.geteuid() == 0 and bool(grp.getgrnam("wbagent"))
    except KeyError:
        return False
