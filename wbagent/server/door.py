"""The server's door: while it is closed the container runs without its published port, so no user can change anything.

A file says so, which the runner reads when it starts the container; it outlives crashes and reboots on purpose: what
closed the door has to open it, or a person who is told (`wbagent status`).
"""

from __future__ import annotations

from pathlib import Path

from wbagent.durable import whole_file
from wbagent.state_directory import state_directory


def door_path() -> Path:
    """Where it is: beside the history, readable for the runner by its group."""
    return state_directory() / "server" / "closed"


def closed() -> str:
    """Why the door is closed; "" when it is open or this user may not know."""
    try:
        return door_path().read_text(encoding="utf-8").strip() or "closed"
    except OSError:
        return ""


def close(why: str) -> None:
    """From the next start of the container on. Raises OSError."""
    with whole_file(door_path(), 0o640) as file:
        file.write(f"{why}\n".encode())


def reopen() -> None:
    """From the next start of the container on. Raises OSError."""
    door_path().unlink(missing_ok=True)
