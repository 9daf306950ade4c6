"""Runs the wandb/local container in the foreground of wandb-local.service, from removal of a stale one to its end."""

from __future__ import annotations

import queue
import signal
import time
from typing import Final

from wbagent import events
from wbagent.config.model import ServerSettings
from wbagent.errors import EX_CONFIG, EX_UNAVAILABLE, DockerError
from wbagent.quantities import format_duration
from wbagent.server import history, report
from wbagent.server.container import (
    Docker,
    DockerAwayError,
    ForeignContainerError,
    Found,
    ImageMissingError,
    PortTakenError,
    SpecificationRefusedError,
)
from wbagent.server.history import Reason
from wbagent.server.probe import LIVENESS, Answer, probe
from wbagent.server.report import Outcome
from wbagent.server.specification import NAME, Specification, specification
from wbagent.server.supervision import Decision, Limits, Phase, Supervision, judge
from wbagent.server.watchers import DockerGone, DockerReturned, Ended, Event, Probed, Prober, StopAsked, Waiter
from wbagent.systemd import journal
from wbagent.systemd.notify import notify

# How much longer systemd is asked to wait at a time: more than one probe and its pause can take together.
_EXTENSION_S: Final = 30.0
# dockerd may be starting, or be restarted at this moment; after this the unit fails once and is tried again.
_DOCKER_WAIT_S: Final = 300.0
_NO_START: Final[dict[type[DockerError], Reason]] = {
    DockerAwayError: Reason.DOCKER_AWAY,
    ForeignContainerError: Reason.FOREIGN_CONTAINER,
    ImageMissingError: Reason.IMAGE_MISSING,
    PortTakenError: Reason.PORT_TAKEN,
    SpecificationRefusedError: Reason.SPECIFICATION_REFUSED,
}


class Runner:
    """One run of the unit: one container, adopted or created, until it ends or is to end."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        probes = settings.probes
        self._limits = Limits(probes.startup_failures * probes.startup_period, probes.liveness_failures)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._docker_away = False
        self._adopted = False
        self._systemd_cgroups = False
        self._begun = time.monotonic()

    def run(self) -> int:
        """Run until the container has ended; the status to exit with. Raises DockerError, recorded already."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(StopAsked()))
        try:
            docker = self._connect()
            if docker is None:
                return 0
            with docker:
                return self._run(docker)
        except DockerError as error:
            reason = _NO_START.get(type(error), Reason.NOT_STARTED)
            report.ended(Outcome(reason, error.message, error.exit_status), None)
            raise

    def _connect(self) -> Docker | None:
        """Docker's connection; None when a stop was asked for while waiting for it. Raises DockerAwayError."""
        deadline = time.monotonic() + _DOCKER_WAIT_S
        while True:
            try:
                return Docker()
            except DockerAwayError:
                notify("STATUS=waiting for Docker", _extension(_EXTENSION_S), "WATCHDOG=1")
                if time.monotonic() > deadline:
                    raise
            try:
                self._events.get(timeout=0.5)
            except queue.Empty:
                continue
            return None

    def _run(self, docker: Docker) -> int:
        self._systemd_cgroups = docker.systemd_cgroups()
        wanted = specification(self._settings, systemd_cgroups=self._systemd_cgroups)
        container = self._adopt(docker, wanted) or self._create(docker, wanted)
        found = docker.find(container)
        if found is None:
            raise DockerError(f"the container {NAME} vanished right after its start", hint="docker events --since 5m")
        Waiter(found.id, self._events).start()
        prober = Prober(found.addresses, self._settings.probes, self._events)
        prober.start()
        outcome, state = self._supervise(docker, found, prober)
        prober.stop()
        return self._finish(docker, found, outcome, state)

    def _adopt(self, docker: Docker, wanted: Specification) -> str | None:
        """The container that a dead runner left, when it is exactly what is wanted: users then notice nothing."""
        report.missing_end()
        found = docker.find()
        if found is None:
            return None
        if found.digest is None:
            raise ForeignContainerError(
                f"a container named {NAME} is there that wbagent did not create (image {found.image}, {found.created})",
                hint=f"docker stop {NAME} && docker rename {NAME} {NAME}-old",
            )
        if found.running and found.digest == wanted.digest and self._well(found):
            journal.send(f"adopted the running container {found.id[:12]}", message_id=events.SERVER_STARTING)
            self._adopted = True
            return found.id
        if found.running and found.digest != wanted.digest:
            docker.stop(found.id, self._settings.stop_timeout)
        # A stopped wandb/local cannot be started again: its entrypoint is not idempotent (wandb/server #8, #19, #36).
        docker.remove(found.id)
        return None

    def _well(self, found: Found) -> bool:
        """Whether it answers, or is still on its first way to readiness (killing a migration leaves it dirty)."""
        was_ready = any(
            record.reason is Reason.READY and record.container == found.id[:12] for record in history.read()
        )
        return not was_ready or probe(found.addresses, LIVENESS, self._settings.probes.timeout).ok

    def _create(self, docker: Docker, wanted: Specification) -> str:
        notify(f"STATUS=starting {wanted.image}", _extension(_EXTENSION_S))
        journal.send(f"starting {wanted.image}", message_id=events.SERVER_STARTING, image=wanted.image)
        container = docker.create(wanted)
        try:
            docker.start(container)
        except DockerError:
            docker.remove(container)
            raise
        return container

    def _supervise(self, docker: Docker, found: Found, prober: Prober) -> tuple[Outcome, Supervision]:
        state = Supervision(Phase.STARTING, self._begun)
        while True:
            event = self._events.get()
            notify("WATCHDOG=1")
            outcome = None
            match event:
                case Probed(answer):
                    now = time.monotonic()
                    state, decision = judge(state, answer, now, self._limits, docker_away=self._docker_away)
                    outcome = self._act(decision, found, prober, state, answer)
                case Ended(exit_code):
                    outcome = _exited(exit_code)
                case StopAsked():
                    outcome = self._stop(docker, found)
                case DockerGone():
                    self._docker_away = True
                    journal.send(
                        "Docker does not answer; the server is left alone",
                        level="warning",
                        message_id=events.DOCKER_AWAY,
                    )
                case DockerReturned():
                    self._docker_away = False
            if outcome is not None:
                return outcome, state

    def _act(
        self, decision: Decision, found: Found, prober: Prober, state: Supervision, answer: Answer
    ) -> Outcome | None:
        """Carry out what was decided; an Outcome when the container is to end."""
        match decision:
            case Decision.EXTEND_START:
                spent = time.monotonic() - state.since
                notify(
                    # judge() ends this when the budget is spent; without an end a start could last for ever.
                    _extension(_EXTENSION_S),
                    f"STATUS=starting for {format_duration(spent)}, migrations may run; {answer.sentence()}",
                )
            case Decision.ANNOUNCE_READY:
                prober.watch_liveness()
                notify("READY=1", f"STATUS={self._standing(found, state)}")
                took = time.monotonic() - self._begun
                report.ready(found, took, adopted=self._adopted, systemd_cgroups=self._systemd_cgroups)
            case Decision.GIVE_UP_START:
                detail = f"not ready within {format_duration(self._limits.startup_budget)}; {answer.sentence()}"
                return Outcome(Reason.BUDGET_SPENT, detail, EX_UNAVAILABLE)
            case Decision.RESTART:
                detail = f"{state.failures} failed probes in a row; {answer.sentence()}"
                return Outcome(Reason.LIVENESS_LOST, detail, EX_UNAVAILABLE)
            case Decision.TELL_UNREADY | Decision.TELL_READY_AGAIN:
                unready = f"the server lives but is not ready: {answer.sentence()}"
                level, text = ("warning", unready) if state.unready else ("info", "the server is ready again")
                journal.send(text, level=level, message_id=events.READINESS_LOST)
                notify(f"STATUS={self._standing(found, state)}")
            case Decision.WAIT:
                if state.failures and not answer.ok:
                    journal.send(self._standing(found, state), level="warning", message_id=events.LIVENESS_FAILED)
                notify(f"STATUS={self._standing(found, state)}")
        return None

    def _standing(self, found: Found, state: Supervision) -> str:
        answer = state.last.sentence() if state.last else ""
        if state.failures:
            return f"{state.failures} of {self._limits.liveness_failures} liveness probes failed; {answer}"
        if state.unready:
            return f"alive but NOT READY; {answer}"
        return f"serving {found.image} for {self._settings.host} on port {self._settings.port}"

    def _stop(self, docker: Docker, found: Found) -> Outcome:
        grace = self._settings.stop_timeout
        notify("STOPPING=1", f"STATUS=stopping; a migration may take up to {format_duration(grace)} to end")
        docker.stop(found.id, grace)
        return Outcome(Reason.STOPPED, "stopped through systemd", 0)

    def _finish(self, docker: Docker, found: Found, outcome: Outcome, state: Supervision) -> int:
        """Record what is left of the container as evidence, then remove it."""
        if outcome.reason is Reason.BUDGET_SPENT:
            # A migration may still run: it gets the same time to end as in a stop.
            grace = self._settings.stop_timeout
            notify(_extension(grace + _EXTENSION_S))
            docker.stop(found.id, grace)
        served = time.monotonic() - state.since if state.phase is Phase.SERVING else 0.0
        final = docker.find(found.id) or found
        if final.oom_killed:
            outcome = Outcome(Reason.OUT_OF_MEMORY, f"killed by the kernel: {outcome.detail}", outcome.exit_status)
        log = docker.last_log_lines(found.id)
        report.ended(outcome, final, log=log, probe=state.last.sentence() if state.last else "", seconds=served)
        # Kills it if it hangs: SIGTERM first would make its users wait for the whole grace of a process that is stuck.
        docker.remove(found.id)
        # EX_CONFIG means to systemd and people that /etc/wbagent.toml is wrong; a container's 78 means no such thing.
        return outcome.exit_status if outcome.exit_status != EX_CONFIG else 1


def _exited(exit_code: int | None) -> Outcome:
    if exit_code is None:
        return Outcome(Reason.EXITED, "the container was removed by somebody else", EX_UNAVAILABLE)
    by_signal = ""
    if exit_code > 128:
        try:
            by_signal = f" ({signal.Signals(exit_code - 128).name})"
        except ValueError:
            by_signal = ""
    return Outcome(Reason.EXITED, f"the container exited with status {exit_code}{by_signal}", exit_code)


def _extension(seconds: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}"
