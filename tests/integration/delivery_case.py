"""What the tests of delivery share: a host's alerts, with the command line at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from wbagent.alerts import outbox
from wbagent.alerts.destination import destinations
from wbagent.alerts.message import Kind, Message
from wbagent.state import State

MESSAGE = Message(
    fingerprint="cpu",
    kind=Kind.FIRING,
    severity="warning",
    title="CPU 63 % busy for 5min",
    what="The processors are 63 % busy.",
    host="db1",
    at=1_000_000.0,
    why="the guide says so",
)


class Agent:
    """A state directory and a configuration, with the command line at hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "wbagent.toml"
        self.urls: list[str] = []
        self.environment = os.environ | {"WBAGENT_STATE_DIRECTORY": str(directory)}
        self.environment.pop("JOURNAL_STREAM", None)

    def tell(self, *urls: str) -> None:
        self.urls = list(urls)
        self.config.write_text(f"[alerts]\nto = {json.dumps(urls)}\n")
        self.config.chmod(0o600)

    def start(self, *command: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "wbagent.cli.main", "--config", str(self.config), "alerts", *command]
        return subprocess.Popen(
            line,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def enqueue(self, message: Message = MESSAGE) -> None:
        with State(self.directory / "state.db") as state, state.transaction():
            outbox.enqueue(state, message, destinations(self.urls), time.time())

    def waiting(self) -> tuple[outbox.Waiting, ...]:
        with State(self.directory / "state.db") as state:
            return outbox.waiting(state)

    def let_time_pass(self) -> None:
        """As if the back-off were over."""
        with State(self.directory / "state.db") as state:
            state.connection.execute("UPDATE outbox SET next_attempt_at = 0")

    def age(self, seconds: float) -> None:
        """As if what waits had been raised `seconds` earlier."""
        with State(self.directory / "state.db") as state:
            state.connection.execute("UPDATE outbox SET created_at = created_at - ?", (seconds,))
