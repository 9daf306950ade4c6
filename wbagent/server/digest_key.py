"""The key of the specification's hash: without it, whoever reads the hash could guess at a weak password in it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from wbagent.state_directory import state_directory

_BYTES: Final = 32


def digest_key(path: Path | None = None) -> bytes:
    """This host's key, made when there is none yet; for user wbagent and its group, which the runner belongs to.

    Empty when it can be neither read nor made: a full disk must not keep the server down. The hash is another one then,
    and a container that would have been adopted is replaced.
    """
    path = path or state_directory() / "server" / "digest.key"
    with suppress(OSError):
        if not path.exists():
            _make(path)
        return path.read_bytes()
    return b""


def _make(path: Path) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        with suppress(OSError):
            # The directory's default ACL lets group systemd-journal read what is made there; not this.
            os.removexattr(descriptor, "system.posix_acl_access")
        os.write(descriptor, secrets.token_bytes(_BYTES))
        os.fchmod(descriptor, 0o640)
    finally:
        os.close(descriptor)
    # Never over one that somebody else made meanwhile: agent and runner must have the same.
    with suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()
