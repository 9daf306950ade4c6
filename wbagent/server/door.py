"""The server's door: while it is closed the container runs without its published port, so no user can change anything.

A file says so, which the runner reads when it starts the container; it outlives crashes and reboots on purpose: what
closed the door has to open it, or a person who is told (`wbagent status`).
"""

from __future__ import annotations

from pathlib import Path

from wbagent.durable import new_file
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
    path = door_path()
    fresh = path.with_name("closed.new")
    # Whoever may write to the directory may have put a link there.
    fresh.unlink(missing_ok=True)
    # Its mode whatever the umask of who runs this: the runner's group has to read it.
    with new_file(fresh, 0o640) as file:
        file.write(f"{why}\n".encode())
    fresh.rename(path)


def reopen() -> None:
    """From the next start of the container on. Raises OSError."""
    door_path().unlink(missing_ok=True)
