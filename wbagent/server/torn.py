"""Keeps the server away from a database that is half restored; imports little, since every start comes by here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from wbagent.errors import ConfigError
from wbagent.state_directory import state_directory

_ROOT: Final = 0


def account_path() -> Path:
    """Where the state of the last upgrade is: beside the server's history, readable for those who may read that."""
    return state_directory() / "server" / "upgrade.json"


def stored(path: Path | None = None, *, owner: int = _ROOT) -> dict[str, Any] | None:
    """What is stored there as JSON; None when nothing is, or nothing that can be read as such.

    Only what root has written is believed: a unit of root acts on it, and others may write into the directory. Raises
    PermissionError.
    """
    path = path or account_path()
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as file:
            value = json.load(file) if os.fstat(file.fileno()).st_uid == owner else None
    except PermissionError:
        raise
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def refuse_while_torn(*, owner: int = _ROOT) -> None:
    """Raise ConfigError while the database is half restored: no server may meet it, whoever starts one."""
    try:
        upgrade = stored(owner=owner)
    except PermissionError:
        # The runner may read it by its group; what it cannot read was not left by an upgrade.
        return
    if upgrade and upgrade.get("torn"):
        raise ConfigError(
            f"the database is half restored: backup {upgrade.get('backup')} was being put back when that was"
            " interrupted; a server that met it now would spoil it",
            hint="wbagent server upgrade --undo  completes the restore and starts the server",
        )
