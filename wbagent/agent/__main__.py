"""What wbagent.service runs: the agent, without what the command line holds in memory (6 MB)."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from wbagent.absent import absent
from wbagent.errors import WbagentError
from wbagent.state import State
from wbagent.systemd import journal

# All waits of one round together are far below what the watchdog grants: what could not be kept is tried again.
_PATIENCE_S: Final = 1.0


def main() -> None:
    """Run until stopped; with --verbose, say also what is not done. What keeps it from going on is its exit status."""
    try:
        run(Path(os.environ.get("WBAGENT_CONFIG") or "/etc/wbagent.toml"), verbose="--verbose" in sys.argv[1:])
    except WbagentError as error:
        journal.failure(error)
        sys.exit(error.exit_status)


def run(path: Path, *, verbose: bool) -> None:
    """Run until stopped. Raises ConfigError, StateError, AccessError."""
    journal.configure(verbose=verbose)
    # 5 MB for a way to log in that is not taken where there is TLS; `database.connection` loads it when it is.
    with absent("cryptography"):
        import pymysql  # noqa: F401, PLC0415 - as said
    # After that: what it imports loads structlog too.
    from wbagent.agent.loop import Agent  # noqa: PLC0415 - as said

    with State(patience=_PATIENCE_S) as state:
        asyncio.run(Agent(path, state).run())


if __name__ == "__main__":
    main()
