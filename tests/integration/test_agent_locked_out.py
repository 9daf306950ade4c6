"""The agent while another process holds its state file: it goes on, feeds the watchdog, and keeps alerts afterwards."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

# The watchdog of wbagent.service (seconds), and for how long the file is held: several rounds.
WATCHDOG_S = 30
HELD_S = 35


def test_a_state_file_that_is_held_does_not_stop_its_rounds(tmp_path: Path) -> None:
    (tmp_path / "wbagent.toml").touch(0o600)
    environment = os.environ | {
        "WBAGENT_STATE_DIRECTORY": str(tmp_path),
        "WBAGENT_CONFIG": str(tmp_path / "wbagent.toml"),
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000),
    }
    environment.pop("JOURNAL_STREAM", None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        agent = subprocess.Popen([sys.executable, "-m", "wbagent.agent"], env=environment, stderr=subprocess.PIPE)
        try:
            wait_for(systemd, b"READY=1", 30)
            with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None, timeout=10)) as holder:
                holder.execute("BEGIN EXCLUSIVE")
                until = time.monotonic() + HELD_S
                while time.monotonic() < until:
                    wait_for(systemd, b"WATCHDOG=1", WATCHDOG_S)
        finally:
            agent.terminate()
            _, said = agent.communicate(timeout=20)
    assert agent.returncode == 0
    assert b"database is locked" in said
    assert b"Traceback" not in said


def wait_for(systemd: socket.socket, word: bytes, seconds: float) -> None:
    """Raises TimeoutError when systemd would do something about it."""
    until = time.monotonic() + seconds
    while True:
        systemd.settimeout(max(until - time.monotonic(), 0.001))
        if word in systemd.recv(65536):
            return
