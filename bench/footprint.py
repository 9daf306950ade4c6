"""`./dev bench footprint`: what agent and runner cost while all is well, and how long the command line takes.

The agent has everything on that can be switched on, and is scraped; what of it costs what is measured beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from bench.measurement import Measurement
from bench.parties import Wbagent
from tests.testbed.bed import Bed, Table, bed, configure
from tests.testbed.host import Host
from tests.testbed.watch import wait_for_unit

ROUNDS = 3
_MINUTE_S = 60.0
_SETTLE_S = 60.0
# As wbagent.service sets it.
_ENVIRONMENT = ("MALLOC_ARENA_MAX=1", "PYDANTIC_SKIP_VALIDATING_CORE_SCHEMAS=1", "PYDANTIC_DISABLE_PLUGINS=1")
_CALLS = 15
_METRICS: Table = {"listen": "127.0.0.1:9797", "textfile": "/run/wbagent-metrics/wbagent.prom"}
_SCRAPE_S = 15
_PARTS = Path(__file__).with_name("agent_parts.py")
# As a Prometheus on the host would.
_SCRAPER = f"""
import time, urllib.request
while True:
    urllib.request.urlopen("http://127.0.0.1:9797/metrics").read()
    time.sleep({_SCRAPE_S})
"""

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
    """A server that serves, with the default probes, and the host of its database; each round lasts a minute."""
    figures = Measurement("footprint")
    with bed() as up:
        _configure(up)
        watched = {
            "agent": (up.web, "wbagent.service"),
            "agent, database host": (up.db, "wbagent.service"),
            "runner": (up.web, "wandb-local.service"),
        }
        with up.web.running(["python3", "-c", _SCRAPER]), up.db.running(["python3", "-c", _SCRAPER]):
            for number in range(rounds):
                print(f"minute {number + 1} of {rounds}", flush=True)
                _watch(watched, figures)
        for _ in range(rounds):
            for part, metric in (("memory", "rss_mb"), ("processor", "cpu_percent")):
                told = up.web.run(["env", *_ENVIRONMENT, "python3", "-", part], input=_PARTS.read_text(), timeout=300)
                for name, value in json.loads(told.stdout).items():
                    figures.add(f"part: {name}", metric, value)
        for metric, command in (("version_s", ["wbagent", "--version"]), ("status_s", ["wbagent", "status"])):
            line = ["python3", "-c", _TIMED, str(_CALLS), *command]
            for seconds in json.loads(up.web.run(line, timeout=120).stdout):
                figures.add("cli", metric, seconds)
    return figures


def _configure(up: Bed) -> None:
    """Everything on, a backup made, and the commotion of all that over."""
    Wbagent(up).start({})
    configure(up.web, up.web_settings(metrics=_METRICS, **{"backup.drill": {"enabled": True}}))
    up.sql("CREATE TABLE one (id INT PRIMARY KEY)", "wandb_local")
    up.sql("GRANT REPLICATION SLAVE ON *.* TO 'wandb_backup'@'%'")
    sections: dict[str, Table] = {"backup.binlog": {"enabled": True}, "backup.drill": {"enabled": True}}
    configure(up.db, up.db_settings(metrics=_METRICS, **sections))
    for host in up.hosts:
        host.run(["systemctl", "restart", "wbagent.service"])
        host.run(["wbagent", "backup", "run"], timeout=300)
    wait_for_unit(
        up.db, "wbagent-drill.service", lambda unit: unit["ActiveState"] in {"inactive", "failed"}, timeout=300
    )
    # The first page and the first question to MySQL load what they need.
    time.sleep(_SETTLE_S)


def _watch(watched: Mapping[str, tuple[Host, str]], figures: Measurement) -> None:
    pids = {party: int(host.properties(unit)["MainPID"]) for party, (host, unit) in watched.items()}
    before = {party: _processor_seconds(watched[party][0], pid) for party, pid in pids.items()}
    begun = time.monotonic()
    time.sleep(_MINUTE_S)
    for party, pid in pids.items():
        spent = _processor_seconds(watched[party][0], pid) - before[party]
        figures.add(party, "cpu_percent", 100 * spent / (time.monotonic() - begun))
        figures.add(party, "rss_mb", _resident_mb(watched[party][0], pid))


def _processor_seconds(host: Host, pid: int) -> float:
    # In nanoseconds, for each thread; /proc/PID/stat counts in hundredths of a second.
    threads = host.run(["sh", "-c", f"cat /proc/{pid}/task/*/schedstat"]).stdout.splitlines()
    return sum(int(line.split()[0]) for line in threads) / 1e9


def _resident_mb(host: Host, pid: int) -> float:
    status = dict(line.split(":", 1) for line in host.read(f"/proc/{pid}/status").splitlines() if ":" in line)
    return int(status["VmRSS"].split()[0]) / 1000
