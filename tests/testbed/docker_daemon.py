"""The Docker daemon of a host, as an operator sets, stops and starts it, and as it dies."""

from __future__ import annotations

import json

from tests.testbed.host import Host
from tests.testbed.watch import journal_from_now, wait_for_unit

UNIT = "docker.service"
# Without the socket, the next question to Docker would start it again.
_UNITS = (UNIT, "docker.socket")


def set_live_restore(host: Host, *, live: bool) -> None:
    """Let containers outlive the daemon, or not, as Docker's documentation says: written down, then reloaded."""
    host.write("/etc/docker/daemon.json", json.dumps({"live-restore": live}))
    with journal_from_now(host, f"_SYSTEMD_UNIT={UNIT}") as journal:
        # systemctl only sends the signal; the daemon says when it has read the file.
        host.run(["systemctl", "reload", UNIT])
        journal.wait_for("Reloaded configuration:")
    assert host.run(["docker", "info", "--format", "{{.LiveRestoreEnabled}}"]).stdout.strip() == str(live).lower()


def stop(host: Host) -> None:
    """Stop it for maintenance."""
    host.run(["systemctl", "stop", *_UNITS], timeout=120)


def start(host: Host) -> None:
    """Start it after maintenance."""
    host.run(["systemctl", "start", *_UNITS])


def restart(host: Host) -> None:
    """Restart it, as an upgrade of its package does."""
    host.run(["systemctl", "restart", UNIT], timeout=120)


def kill(host: Host) -> None:
    """Kill it; systemd starts it again (Restart= of Docker's own unit), which this awaits."""
    pid = host.properties(UNIT)["MainPID"]
    host.kill(int(pid))
    wait_for_unit(host, UNIT, lambda unit: unit["ActiveState"] == "active" and unit["MainPID"] not in {pid, "0"})


def proxies(host: Host) -> list[int]:
    """The ids of its docker-proxy processes, which serve published ports to programs on the host itself."""
    return [int(pid) for pid in host.run(["pgrep", "--exact", "docker-proxy"], check=False).stdout.split()]
