"""Says why the container ended, in the light of what Docker still knows of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from wbagent.errors import EX_UNAVAILABLE, DockerError
from wbagent.server.container import Docker, DockerAwayError, Found
from wbagent.server.history import Reason
from wbagent.server.report import Outcome

_BY_HAND: Final = "somebody removed the container (docker rm)"
_WITH_DOCKER: Final = (
    "dockerd stopped or died, and ended its containers; with live-restore in /etc/docker/daemon.json they would go on"
)
# dockerd writes it when it begins. Its socket tells nothing: systemd holds that open over dockerd's restarts.
_PID_FILE: Final = Path("/run/docker.pid")


def exited(exit_code: int | None) -> Outcome:
    """The container's end as Docker tells it; None: it was removed."""
    if exit_code is None:
        return Outcome(Reason.REMOVED, _BY_HAND, EX_UNAVAILABLE)
    name = _signal_name(str(exit_code - 128)) if exit_code > 128 else ""
    by_signal = f" ({name})" if name.startswith("SIG") else ""
    return Outcome(Reason.EXITED, f"the container exited with status {exit_code}{by_signal}", exit_code)


def _signal_name(number: str) -> str:
    try:
        return signal.Signals(int(number)).name
    except ValueError:
        return f"signal {number}"


def named(outcome: Outcome, final: Found | None, *, with_docker: bool, signals: Sequence[str] = ()) -> Outcome:
    """The outcome under its most telling name; `with_docker`: dockerd went away or began anew meanwhile.

    `signals`: the numbers of those that somebody sent to the container through Docker just before.

    Invariant: only an exit that nobody decided gets another name than it had; what the kernel did goes before what
    somebody did to Docker, and both before a bare exit status.
    """
    if outcome.reason is not Reason.EXITED:
        return outcome
    if final is not None and final.oom_killed:
        return Outcome(Reason.OUT_OF_MEMORY, f"killed by the kernel: {outcome.detail}", outcome.exit_status)
    if with_docker:
        return Outcome(Reason.DOCKER_AWAY, f"{outcome.detail}: {_WITH_DOCKER}", outcome.exit_status)
    if final is None or final.removing:
        return Outcome(Reason.REMOVED, _BY_HAND, outcome.exit_status)
    if signals:
        names = " and ".join(dict.fromkeys(_signal_name(number) for number in signals))
        return replace(outcome, detail=f"{outcome.detail}: somebody sent it {names} (docker stop, docker kill)")
    return outcome


def evidence(
    docker: Docker, found: Found, outcome: Outcome, *, docker_was_away: bool
) -> tuple[Outcome, Found, tuple[str, ...]]:
    """What is left of the container: the outcome in the light of it, its last state and its last lines."""
    asked = time.time()
    try:
        final = docker.find(found.id)
    except DockerAwayError:
        # A daemon that is being stopped ends its containers first and then itself.
        return named(outcome, None, with_docker=True), found, ()
    with_docker = docker_was_away or _began_after(asked)
    outcome = named(outcome, final, with_docker=with_docker, signals=_signals(docker, found, outcome))
    return outcome, final or found, docker.last_log_lines(found.id)


def _signals(docker: Docker, found: Found, outcome: Outcome) -> tuple[str, ...]:
    if outcome.reason is not Reason.EXITED:
        return ()
    try:
        # A `docker stop` begins as long ago as the server took to stop.
        return docker.signals_sent(found.id, within=120.0)
    except DockerError:
        return ()


def _began_after(moment: float) -> bool:
    """Whether dockerd began after that (wall clock): a question to its socket waits for one that is being restarted."""
    try:
        return _PID_FILE.stat().st_mtime > moment
    except OSError:
        return False
