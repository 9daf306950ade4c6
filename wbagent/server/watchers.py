"""The runner's two threads, which turn the container's end and the probes' answers into events of one queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wbagent.server.container import Docker, DockerAwayError
from wbagent.server.probe import LIVENESS, READINESS, Answer, probe
from wbagent.server.settings import Probes

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_START_PAUSE_S: Final = 1.0
# A daemon that is gone has no socket to wait on, so its return is asked for; so often costs nothing.
_DOCKER_RETRY_S: Final = 0.25
# The runner feeds systemd's watchdog when its threads report; long probe periods are cut into rests of this length.
_LONGEST_REST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe was answered, or was not."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Ended:
    """The container ended with this exit code; None when it was removed by somebody else."""

    exit_code: int | None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """systemd (or a person) wants the runner to stop."""


@dataclass(frozen=True, slots=True)
class DockerGone:
    """The daemon no longer answers; the container may well live on (live-restore)."""


@dataclass(frozen=True, slots=True)
class DockerReturned:
    """The daemon answers again, and the container still runs."""


@dataclass(frozen=True, slots=True)
class Resting:
    """The prober is between two probes: a sign of life."""


Event = Probed | Ended | StopAsked | DockerGone | DockerReturned | Resting


class Waiter(threading.Thread):
    """Waits for the container's end, over as many lives of the Docker daemon as that takes."""

    def __init__(self, container: str, events: queue.SimpleQueue[Event]) -> None:
        super().__init__(name="waiter", daemon=True)
        self._container = container
        self._events = events
        self._away = False

    def run(self) -> None:
        while True:
            try:
                # A connection of its own: this one blocks for as long as the server lives.
                with Docker() as docker:
                    self._events.put(Ended(self._wait(docker)))
                    return
            except DockerAwayError:
                if not self._away:
                    self._events.put(DockerGone())
                self._away = True
                threading.Event().wait(_DOCKER_RETRY_S)

    def _wait(self, docker: Docker) -> int | None:
        found = docker.find(self._container)
        if found is None or not found.running:
            return found.exit_code if found else None
        if self._away:
            self._away = False
            self._events.put(DockerReturned())
        return docker.wait(self._container)


class Prober(threading.Thread):
    """Asks /ready until told that the server serves, then /healthz and /ready every period."""

    def __init__(self, addresses: Sequence[tuple[str, int]], probes: Probes, events: queue.SimpleQueue[Event]) -> None:
        super().__init__(name="prober", daemon=True)
        self._addresses = addresses
        self._probes = probes
        self._events = events
        self._serving = threading.Event()
        self._stopped = threading.Event()

    def watch_liveness(self) -> None:
        """From now on ask /healthz too."""
        self._serving.set()

    def stop(self) -> None:
        """Ask no more; a probe under way ends by its own time-out."""
        self._stopped.set()

    def run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopped.is_set():
            serving = self._serving.is_set()
            alive = self._ask(LIVENESS) if serving else None
            # A server that does not say whether it lives is not asked whether it is ready: that would cost a time-out.
            ready = self._ask(READINESS) if alive is None or alive.ok else None
            if serving or (ready and ready.ok):
                pause = self._probes.liveness_period
            else:
                pause = min(pause * 1.5, _LONGEST_START_PAUSE_S)
            self._rest(pause - sum(answer.seconds for answer in (alive, ready) if answer))

    def _ask(self, path: str) -> Answer:
        answer = probe(self._addresses, path, self._probes.timeout)
        self._events.put(Probed(answer))
        return answer

    def _rest(self, seconds: float) -> None:
        while seconds > 0 and not self._stopped.wait(min(seconds, _LONGEST_REST_S)):
            seconds -= _LONGEST_REST_S
            self._events.put(Resting())
