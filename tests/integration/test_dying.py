"""Nothing of the services outlives a test that was killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed.scratch import scratch

_SERVE = """
import signal, sys
from tests.testbed.mysql import MysqlServer
# Ignored in what a shell starts in the background, and inherited by all below.
signal.signal(signal.SIGINT, signal.default_int_handler)
with MysqlServer() as server:
    print(server.pid, server.directory, flush=True)
    sys.stdin.read()
"""


@pytest.mark.usefixtures("mysql")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_server_ends_with_the_process_that_started_it(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starter:
        assert starter.stdout
        pid, directory = starter.stdout.readline().split()
        server = os.pidfd_open(int(pid))
        starter.send_signal(number)
        ended, _, _ = select.select([server], [], [], 30)
        os.close(server)
    assert ended

    # A killed process could not remove what it had made; the next server's start does.
    with scratch("probe"):
        assert not Path(directory).exists()
