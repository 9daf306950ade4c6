"""What ExecStopPost= does after the runner's death: record it, and remove a container that must not be adopted."""

from __future__ import annotations

import os
from typing import Final

from wbagent import events
from wbagent.errors import DockerError
from wbagent.server import report
from wbagent.systemd import journal

# A runner that systemd had to end (watchdog, time-out) leaves a container that nobody vouches for. After the others
# (killed, out of memory) the container may be well, and the next runner adopts it: users notice nothing.
_UNTRUSTED_RESULTS: Final = frozenset({"watchdog", "timeout"})


def clean_up() -> None:
    """Act on $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS (systemd.exec(5)); Docker may be away, that is no failure."""
    result = os.environ.get("SERVICE_RESULT", "")
    code, status = os.environ.get("EXIT_CODE", ""), os.environ.get("EXIT_STATUS", "")
    if result == "success":
        return
    report.runner_died(result, code, status)
    if result not in _UNTRUSTED_RESULTS:
        return
    from wbagent.server.container import Docker  # noqa: PLC0415 - see `report`

    try:
        with Docker() as docker:
            found = docker.find()
            if found is not None and found.digest is not None:
                docker.remove(found.id)
    except DockerError as error:
        journal.send(
            f"the container could not be removed: {error.message}", level="warning", message_id=events.DOCKER_AWAY
        )
