"""What the tests of the server on a booted host share: how it is started, asked and disturbed, what it has noted."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any, Final

from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.watch import wait_for_unit

UNIT: Final = "wandb-local.service"
QUICK: Final[dict[str, object]] = {"liveness_period": "1s", "timeout": "1s", "liveness_failures": 3}
QUICK_PROBES: Final = {"server.probes": QUICK}


def serve(bed: Bed, **sections: dict[str, object]) -> Bed:
    """Start the server on web1 with these sections, and let the agent know of it."""
    configure(bed.web, bed.web_settings(**sections))
    reload(bed.web)
    bed.web.run(["systemctl", "start", UNIT])
    return bed


def get(bed: Bed, path: str = "/ready") -> int:
    """The status that a user's browser gets; 0 when nothing answers."""
    try:
        with urllib.request.urlopen(f"http://{bed.web.address}:8080{path}", timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def post(bed: Bed, switch: str) -> None:
    """Turn one of the stand-in's switches."""
    request = urllib.request.Request(f"http://{bed.web.address}:8080/standin/{switch}", method="POST")
    # A server that crashes or hangs on request gives no answer to it.
    with suppress(OSError):
        urllib.request.urlopen(request, timeout=5).close()


def wait_until_serving_again(host: Host, restarts: int) -> None:
    """Wait until it serves after so many restarts."""
    wait_for_unit(host, UNIT, lambda unit: unit["ActiveState"] == "active" and int(unit["NRestarts"]) == restarts)


def history(host: Host, user: str | None = None) -> list[dict[str, Any]]:
    """`wbagent server history --json`, oldest first."""
    shown = host.run(["wbagent", "server", "history", "--json"], user=user).stdout
    records: list[dict[str, Any]] = json.loads(shown)
    return records


def container(host: Host) -> dict[str, Any]:
    """The one container, as Docker sees it."""
    [found] = json.loads(host.run(["docker", "inspect", "wandb-local"]).stdout)
    assert found["Id"] == container_id(host)
    return dict(found)


def container_id(host: Host) -> str:
    """That of the one container."""
    [found] = host.run(["docker", "ps", "--all", "--quiet", "--no-trunc"]).stdout.split()
    return found
