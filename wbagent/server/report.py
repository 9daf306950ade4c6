"""Tells the journal and the history about each start and end of the server."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wbagent import events
from wbagent.errors import EX_SOFTWARE, ConfigError, WbagentError
from wbagent.quantities import format_duration
from wbagent.server import history
from wbagent.server.history import Reason, Record
from wbagent.systemd import journal
from wbagent.systemd.unit_names import SERVER_UNIT

if TYPE_CHECKING:
    # The clean-up after each end tells it too, and seldom needs Docker: its SDK takes 80 ms to import.
    from wbagent.server.container import Found


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why the container ended (or never began), and the status that the runner exits with."""

    reason: Reason
    detail: str
    exit_status: int


def ready(found: Found, seconds: float, *, adopted: bool, systemd_cgroups: bool) -> None:
    """The server answers /ready, `seconds` after the runner began."""
    detail = f"{'adopted and ' if adopted else ''}ready after {format_duration(seconds)}"
    record = _record(Reason.READY, detail, found, seconds=seconds)
    _append(replace(record, digest=found.digest or "", systemd_cgroups=systemd_cgroups))
    journal.send(
        f"{found.image} is {detail}", message_id=events.SERVER_READY, image=found.image, seconds=f"{seconds:.3f}"
    )


def ended(
    outcome: Outcome,
    found: Found | None,
    *,
    log: tuple[str, ...] = (),
    probe: str = "",
    seconds: float = 0.0,
    noticed_late: bool = False,
) -> None:
    """The server ended (`noticed_late`: some time ago), with what is left of it as evidence."""
    record = _record(outcome.reason, outcome.detail, found, log=log, probe=probe, seconds=seconds)
    record = replace(record, noticed_late=noticed_late)
    _append(record)
    journal.send(
        f"the server ended: {outcome.reason}; {outcome.detail}",
        level="error" if record.is_end else "info",
        message_id=events.SERVER_ENDED,
        OBJECT_SYSTEMD_UNIT=SERVER_UNIT,
        reason=outcome.reason,
        exit_code=record.exit_code,
        oom_killed=int(record.oom_killed),
        probe=probe or None,
        served_seconds=f"{seconds:.1f}",
    )


def unready(found: Found, seconds: float, probe: str, log: tuple[str, ...]) -> None:
    """The server lives and has not been ready for `seconds`, which is long; `probe` is its last answer."""
    detail = f"alive but not ready for {format_duration(seconds)}: {probe}"
    _append(_record(Reason.UNREADY, detail, found, log=log, probe=probe, seconds=seconds))
    journal.send(detail, level="error", message_id=events.READINESS_LOST, probe=probe)


def ready_again(found: Found, seconds: float) -> None:
    """What `unready` told is over, after `seconds` in all."""
    detail = f"ready again after {format_duration(seconds)}"
    _append(_record(Reason.READY_AGAIN, detail, found, seconds=seconds))
    journal.send(detail, message_id=events.READINESS_LOST)


def docker_away(seconds: float) -> None:
    """No container can be looked for or started: Docker has not answered for `seconds`. Told once an outage."""
    last = history.last()
    if last is None or not last.is_end:
        detail = f"Docker has not answered for {format_duration(seconds)}; the server is started when it does"
        ended(Outcome(Reason.DOCKER_AWAY, detail, 0), None, noticed_late=True)


def refused(error: ConfigError) -> None:
    """The configuration does not say what to run; systemd will not try again (RestartPreventExitStatus=)."""
    ended(Outcome(Reason.REFUSED, " | ".join(error.problems) or error.message, error.exit_status), None)


def not_started(error: WbagentError) -> None:
    """The server could not even be tried; systemd will try again."""
    ended(Outcome(Reason.NOT_STARTED, error.message, error.exit_status), None)


def unforeseen(error: Exception) -> None:
    """The runner met with what it was not made for; the journal has the traceback."""
    ended(Outcome(Reason.RUNNER_DIED, f"a fault of wbagent: {type(error).__name__}", EX_SOFTWARE), None)


def missing_end() -> None:
    """Record the end of a runner that could not do so: killed with its clean-up, or the host lost power."""
    last = history.last()
    if last is not None and last.reason is Reason.READY:
        detail = "the runner ended without a word: killed together with its clean-up, or the host lost power"
        ended(Outcome(Reason.RUNNER_DIED, detail, 0), None, noticed_late=True)


def runner_died(result: str, code: str, status: str) -> None:
    """The runner itself ended badly; does nothing when it had recorded the end before it went."""
    invocation = os.environ.get("INVOCATION_ID", "")
    last = history.newest(record for record in history.read() if record.invocation == invocation)
    if last is not None and last.reason is not Reason.READY:
        return
    ended(Outcome(Reason.RUNNER_DIED, f"systemd says: result {result}, {code} {status}".rstrip(), 0), None)


def _record(
    reason: Reason, detail: str, found: Found | None, *, log: tuple[str, ...] = (), probe: str = "", seconds: float
) -> Record:
    return Record(
        at=time.time(),
        reason=reason,
        detail=detail,
        invocation=os.environ.get("INVOCATION_ID", ""),
        exit_code=found.exit_code if found and not found.running else None,
        oom_killed=bool(found and found.oom_killed),
        probe=probe,
        log=log,
        image=found.image if found else "",
        container=found.id[:12] if found else "",
        seconds=round(seconds, 3),
    )


def _append(record: Record) -> None:
    try:
        history.append(record)
    except OSError as error:
        # A full disk must not keep the server from being restarted; the journal has the same facts.
        journal.send(f"the history cannot be written: {error}", level="warning", message_id=events.FAILURE)
