"""A clock that is set back while the agent runs, as by a time service that answers minutes after the boot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed.environment import faketime
from tests.testbed.switch import Switch

# Between two rounds of the agent (seconds), and a little for a busy machine.
ROUND_S = 10 + 15


def test_looks_and_pings_go_on(tmp_path: Path) -> None:
    """All that the agent does at certain times would wait for the clock on the wall to come by again: nine hours."""
    library = faketime()
    if library is None:
        pytest.skip("needs the package faketime")
    with Switch() as switch:
        configuration = tmp_path / "wbagent.toml"
        configuration.touch(0o600)
        configuration.write_text(f'[alerts]\nping_agent = "{switch.url("agent")}"\nping_every = "1s"\n')
        clock = tmp_path / "clock"
        clock.write_text("+9h\n")
        environment = os.environ | {
            "WBAGENT_STATE_DIRECTORY": str(tmp_path),
            "WBAGENT_CONFIG": str(configuration),
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        environment.pop("JOURNAL_STREAM", None)
        agent = subprocess.Popen([sys.executable, "-m", "wbagent.agent"], env=environment, stderr=subprocess.PIPE)
        try:
            switch.wait_for(lambda _: len(switch.heard) > 1, timeout=30)
            clock.write_text("+0\n")
            before = len(switch.heard)
            # One may have been under way.
            switch.wait_for(lambda _: len(switch.heard) > before + 1, timeout=ROUND_S)
        finally:
            agent.terminate()
            _, said = agent.communicate(timeout=20)
    assert b"the clock was set back by 9h" in said
