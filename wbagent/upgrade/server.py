"""Has the server's unit run an image, and finds out how that went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from wbagent.errors import EX_TEMPFAIL, DockerError, WbagentError
from wbagent.quantities import format_duration
from wbagent.server import history
from wbagent.server.container import Docker, DockerAwayError
from wbagent.server.history import Reason
from wbagent.server.outages import outages
from wbagent.systemd.bus import Verb
from wbagent.systemd.jobs import run_job
from wbagent.systemd.unit_names import SERVER_UNIT

_AGAIN: Final = "wbagent server upgrade TAG completes it; wbagent server upgrade --undo goes back"


class InterruptedUpgradeError(WbagentError):
    """The step can be neither called done nor failed: a second run takes it up again."""

    exit_status = EX_TEMPFAIL


class NotReadyError(DockerError):
    """The server ended, or did not get ready in its time."""


def start(wanted: str, on_status: Callable[[str], None], on_life: Callable[[], None]) -> str:
    """Have the unit run this image and wait until it is ready, or its start has failed; a sentence for the account.

    Joins a start that is under way: it may be migrating. Raises NotReadyError, InterruptedUpgradeError.
    """
    began = time.time()
    verb = Verb.START if _running_image() in {wanted, ""} else Verb.RESTART
    unit = run_job(verb, SERVER_UNIT, on_status, on_life)
    if unit["ActiveState"] != "active":
        ends = [record for record in history.read() if record.at >= began and record.is_end]
        if ends and ends[-1].reason is Reason.DOCKER_AWAY:
            raise InterruptedUpgradeError(f"{ends[-1].detail}; systemd goes on trying to start the server", hint=_AGAIN)
        if not ends and (unit["Job"][0] != 0 or unit["ActiveState"] == "deactivating"):
            # Another job took the place of ours: that says nothing about the image.
            raise InterruptedUpgradeError(
                "the server was stopped while it was starting, by a person or because the host shuts down", hint=_AGAIN
            )
        raise NotReadyError(
            ends[-1].sentence() if ends else f"{SERVER_UNIT} is {unit['ActiveState']} ({unit['Result']})"
        )
    if (running := _running_image()) != wanted:
        raise NotReadyError(f"the unit runs {running or 'no container'} instead")
    return f"{wanted} is ready{_outage(began)}"


def end_of(name: str, since: float) -> dict[str, Any] | None:
    """The history's record of the newest end of this image since that wall-clock time, with its evidence."""
    ends = [record for record in history.read() if record.is_end and record.at >= since]
    # One that could not even be created names no image.
    mine = next((record for record in reversed(ends) if record.image in {name, ""}), None)
    return asdict(mine) if mine is not None else None


def _running_image() -> str:
    """What the container was made from; "" when none runs, or Docker does not say."""
    try:
        with Docker() as docker:
            found = docker.find()
    except DockerAwayError:
        return ""
    return found.image if found is not None and found.running else ""


def _outage(began: float) -> str:
    """How long users were without the server, where the history tells."""
    last = next(reversed(outages(history.read())), None)
    if last is None or last.over is None or last.over < began:
        return ""
    seconds = last.seconds(last.over)
    return f"; users were without the server for {format_duration(seconds)}" if seconds else ""
