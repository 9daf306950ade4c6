"""`./dev bench footprint`: what agent and runner cost while all is well, and how long the command line takes."""

from __future__ import annotations

import json
import time

from bench.measurement import Measurement
from bench.parties import Wbagent
from tests.testbed.bed import Bed, bed
from tests.testbed.host import Host

ROUNDS = 3
_MINUTE_S = 60.0
_CALLS = 15
_UNITS = {"agent": "wbagent.service", "runner": "wandb-local.service"}

# Runs on the host: seconds that a command takes, each time, without the way into the host.
_TIMED = """
import json, subprocess, sys, time
took = []
for _ in range(int(sys.argv[1])):
    begun = time.perf_counter()
    subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    took.append(time.perf_counter() - begun)
print(json.dumps(took))
"""


def measure(rounds: int = ROUNDS) -> Measurement:
    """A server that serves, with the default probes; a minute of processor time a round."""
    figures = Measurement("footprint")
    with bed() as up:
        Wbagent(up).start({})
        for number in range(rounds):
            print(f"minute {number + 1} of {rounds}", flush=True)
            _watch(up, figures)
        for metric, command in (("version_s", ["wbagent", "--version"]), ("status_s", ["wbagent", "status"])):
            line = ["python3", "-c", _TIMED, str(_CALLS), *command]
            for seconds in json.loads(up.web.run(line, timeout=120).stdout):
                figures.add("cli", metric, seconds)
    return figures


def _watch(up: Bed, figures: Measurement) -> None:
    pids = {party: int(up.web.properties(unit)["MainPID"]) for party, unit in _UNITS.items()}
    before = {party: _processor_seconds(up.web, pid) for party, pid in pids.items()}
    begun = time.monotonic()
    time.sleep(_MINUTE_S)
    for party, pid in pids.items():
        spent = _processor_seconds(up.web, pid) - before[party]
        figures.add(party, "cpu_percent", 100 * spent / (time.monotonic() - begun))
        figures.add(party, "rss_mb", _resident_mb(up.web, pid))


def _processor_seconds(host: Host, pid: int) -> float:
    # In nanoseconds, for each thread; /proc/PID/stat counts in hundredths of a second.
    threads = host.run(["sh", "-c", f"cat /proc/{pid}/task/*/schedstat"]).stdout.splitlines()
    return sum(int(line.split()[0]) for line in threads) / 1e9


def _resident_mb(host: Host, pid: int) -> float:
    status = dict(line.split(":", 1) for line in host.read(f"/proc/{pid}/status").splitlines() if ":" in line)
    return int(status["VmRSS"].split()[0]) / 1000
