"""Keeps the server from meeting a database that an upgrade's way back has left half restored."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from wbagent.errors import ConfigError
from wbagent.state_directory import state_directory

_ROOT: Final = 0


def upgrade_path() -> Path:
    """Where an upgrade's state is: beside the history, readable for those who may read that."""
    return state_directory() / "server" / "upgrade.json"


def refuse_while_torn(path: Path | None = None, *, owner: int = _ROOT) -> None:
    """Raise ConfigError while the database is half restored, whoever starts a server.

    Only what root has written is believed, since others may write into the directory; a file that cannot be understood
    says nothing. Reads as little as it can: every restart of the server comes by here.
    """
    try:
        with os.fdopen(os.open(path or upgrade_path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)) as file:
            if os.fstat(file.fileno()).st_uid != owner:
                return
            upgrade = json.load(file)
            torn, backup = bool(upgrade["torn"]), str(upgrade["backup"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if torn:
        raise ConfigError(
            f"the database is half restored: backup {backup} was being put back when that was interrupted; a server"
            " that met it now would spoil it",
            hint="wbagent server upgrade --undo  completes the restore and starts the server",
        )
