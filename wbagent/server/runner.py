"""Runs the wandb/local container in the foreground of wandb-local.service, from removal of a stale one to its end."""

from __future__ import annotations

import queue
import signal
import time
from contextlib import suppress
from typing import Final

from wbagent import events
from wbagent.errors import EX_CONFIG, EX_UNAVAILABLE, DockerError
from wbagent.quantities import format_duration
from wbagent.server import door, report
from wbagent.server.beginning import EXTENSION_S, begin
from wbagent.server.container import (
    Docker,
    DockerAwayError,
    ForeignContainerError,
    Found,
    ImageMissingError,
    PortTakenError,
    SpecificationRefusedError,
)
from wbagent.server.diagnosis import while_starting
from wbagent.server.embedded import NOT_FOR_PRODUCTION
from wbagent.server.ending import evidence, exited
from wbagent.server.history import Reason
from wbagent.server.network import point_to
from wbagent.server.probe import Answer
from wbagent.server.report import Outcome
from wbagent.server.settings import RunSettings
from wbagent.server.specification import NAME
from wbagent.server.supervision import Decision, Limits, Phase, Supervision, judge
from wbagent.server.watchers import DockerGone, DockerReturned, Ended, Event, Probed, Prober, StopAsked, Waiter
from wbagent.systemd import journal
from wbagent.systemd.notify import extension, notify
from wbagent.systemd.unit_names import SERVER_UNIT

# dockerd may be starting, or be restarted at this moment; after this the history tells why nothing is started.
_DOCKER_WAIT_S: Final = 300.0
# Without migrations to run W&B's server is ready before; what its log tells by then is worth reading.
_TELLING_S: Final = 30.0
_NO_START: Final[dict[type[DockerError], Reason]] = {
    DockerAwayError: Reason.DOCKER_AWAY,
    ForeignContainerError: Reason.FOREIGN_CONTAINER,
    ImageMissingError: Reason.IMAGE_MISSING,
    PortTakenError: Reason.PORT_TAKEN,
    SpecificationRefusedError: Reason.SPECIFICATION_REFUSED,
}


class Runner:
    """One run of the unit: one container, adopted or created, until it ends or is to end."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        probes = settings.probes
        budget = probes.startup_failures * probes.startup_period
        self._limits = Limits(budget, probes.liveness_failures, probes.unready_after)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._docker_away = False
        self._adopted = self._systemd_cgroups = False
        self._begun = time.monotonic()

    def run(self) -> int:
        """Run until the container has ended; the status to exit with. Raises DockerError, recorded already."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(StopAsked()))
        report.missing_end()
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
        """Docker's connection, however long that takes; None when a stop was asked for meanwhile.

        A start that failed instead would be tried again up to a minute after Docker is back, and fill the history.
        """
        asked, told = self._begun, False
        while True:
            # A daemon that hangs keeps the first try waiting already.
            notify(extension(EXTENSION_S))
            try:
                return Docker()
            except DockerAwayError:
                notify("STATUS=waiting for Docker: systemctl status docker.service")
                # The wait for Docker is no part of a start's budget.
                self._begun = time.monotonic()
                waited = self._begun - asked
                if waited >= _DOCKER_WAIT_S and not told:
                    report.docker_away(waited)
                    told = True
            try:
                self._events.get(timeout=0.5)
            except queue.Empty:
                continue
            return None

    def _run(self, docker: Docker) -> int:
        self._systemd_cgroups = docker.systemd_cgroups()
        wanted = self._settings.specification(systemd_cgroups=self._systemd_cgroups)
        if shut := door.closed():
            wanted = wanted.unpublished()
            closed = f"the server is CLOSED to its users: {shut}"
            journal.send(closed, level="warning", message_id=events.SERVER_STARTING)
        begun = begin(docker, wanted, self._settings)
        found = docker.find(begun.container)
        if found is None:
            raise DockerError(f"the container {NAME} vanished right after its start", hint="docker events --since 5m")
        point_to(found.network)
        if self._settings.embedded:
            journal.send(f"the server is {NOT_FOR_PRODUCTION}", level="warning", message_id=events.SERVER_EMBEDDED)
        Waiter(found.id, self._events).start()
        prober = Prober(found.addresses, self._settings.probes, self._events)
        prober.start()
        self._adopted = begun.adopted
        outcome, state = self._supervise(docker, found, prober, begun.alive)
        prober.stop()
        return self._finish(docker, found, outcome, state)

    def _supervise(
        self, docker: Docker, found: Found, prober: Prober, alive: Answer | None
    ) -> tuple[Outcome, Supervision]:
        from wbagent.moment import Moment  # noqa: PLC0415 - while the container starts, there is time
        from wbagent.server.pause import current, hold  # noqa: PLC0415 - as above

        state = Supervision(Phase.STARTING, self._begun)
        if alive is not None:
            # It had been ready before: readiness that it lost since is no start that takes too long, and ends nothing.
            state = Supervision(Phase.SERVING, self._begun, last=alive, port_seen=True)
            self._act(Decision.ANNOUNCE_READY, docker, found, prober, state, alive)
        while True:
            event = self._events.get()
            notify("WATCHDOG=1")
            outcome = None
            match event:
                case Probed(answer):
                    now = time.monotonic()
                    state, decision = judge(state, answer, now, self._limits, docker_away=self._docker_away)
                    decision = hold(decision, paused=current(Moment.now()) is not None)
                    outcome = self._act(decision, docker, found, prober, state, answer)
                case Ended(exit_code):
                    outcome = exited(exit_code)
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
        self, decision: Decision, docker: Docker, found: Found, prober: Prober, state: Supervision, answer: Answer
    ) -> Outcome | None:
        """Carry out what was decided; an Outcome when the container is to end."""
        match decision:
            case Decision.EXTEND_START:
                spent = time.monotonic() - state.since
                why = ""
                if spent >= _TELLING_S and not self._docker_away:
                    why = while_starting(_log_lines(docker, found))
                notify(
                    # judge() ends this when the budget is spent; without an end a start could last for ever.
                    extension(EXTENSION_S),
                    f"STATUS=starting for {format_duration(spent)}, {why or 'migrations may run'}; {answer.sentence()}",
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
            case Decision.AWAIT_DOCKER:
                detail = (
                    f"Docker is away, and {state.failures} probes in a row failed; {answer.sentence()}: the server is"
                    " taken over or started anew when Docker is back"
                )
                return Outcome(Reason.DOCKER_AWAY, detail, EX_UNAVAILABLE)
            case Decision.REOPEN_PORT:
                detail = f"the container is well, but the published port is dead (docker-proxy?): {answer.detour}"
                return Outcome(Reason.PORT_LOST, detail, EX_UNAVAILABLE)
            case Decision.RECORD_UNREADY:
                report.unready(found, state.unready_for, answer.sentence(), _log_lines(docker, found))
                notify(f"STATUS={self._standing(found, state)}")
            case Decision.RECORD_READY_AGAIN:
                report.ready_again(found, state.unready_for)
                notify(f"STATUS={self._standing(found, state)}")
            case Decision.TELL_UNREADY | Decision.TELL_READY_AGAIN:
                unready = f"the server lives but is not ready: {answer.sentence()}"
                level, text = ("warning", unready) if state.unready else ("info", "the server is ready again")
                journal.send(text, level=level, message_id=events.READINESS_LOST)
                notify(f"STATUS={self._standing(found, state)}")
            case Decision.WAIT:
                if (state.failures and not answer.ok) or state.port_failures:
                    journal.send(self._standing(found, state), level="warning", message_id=events.LIVENESS_FAILED)
                notify(f"STATUS={self._standing(found, state)}")
        return None

    def _standing(self, found: Found, state: Supervision) -> str:
        answer = state.last.sentence() if state.last else ""
        if state.failures:
            return f"{state.failures} of {self._limits.liveness_failures} liveness probes failed; {answer}"
        if state.unready:
            return f"alive but NOT READY for {format_duration(state.unready_for)}; {answer}"
        but = ""
        if self._docker_away:
            but = ", but Docker is away: systemctl status docker.service"
        elif state.last and state.last.detour:
            but = f", but its published port is dead: {state.last.detour}"
        return f"serving {found.image} for {self._settings.host} on port {self._settings.port}{but}"

    def _stop(self, docker: Docker, found: Found) -> Outcome:
        grace = self._settings.stop_timeout
        notify(
            "STOPPING=1",
            extension(grace + 2 * EXTENSION_S),
            f"STATUS=stopping; a migration may take up to {format_duration(grace)} to end",
        )
        try:
            docker.ping()
            docker.stop(found.id, grace)
        except DockerAwayError as error:
            self._docker_away = True
            detail = (
                f"a stop was asked for, but {error.message}: the container may go on serving; when Docker is back,"
                f" systemctl start {SERVER_UNIT} takes it over, docker rm --force {NAME} ends it"
            )
            notify(f"STATUS={detail}")
            return Outcome(Reason.DOCKER_AWAY, detail, error.exit_status)
        return Outcome(Reason.STOPPED, "stopped through systemd", 0)

    def _finish(self, docker: Docker, found: Found, outcome: Outcome, state: Supervision) -> int:
        """Record what is left of the container as evidence, then remove it."""
        if outcome.reason is Reason.BUDGET_SPENT:
            # A migration may still run: it gets the same time to end as in a stop.
            grace = self._settings.stop_timeout
            notify(extension(grace + EXTENSION_S))
            with suppress(DockerAwayError):
                docker.stop(found.id, grace)
        served = time.monotonic() - state.since if state.phase is Phase.SERVING else 0.0
        probe_said = state.last.sentence() if state.last else ""
        if outcome.reason is Reason.DOCKER_AWAY:
            report.ended(outcome, found, probe=probe_said, seconds=served)
        else:
            outcome, final, log = evidence(docker, found, outcome, docker_was_away=self._docker_away)
            report.ended(outcome, final, log=log, probe=probe_said, seconds=served)
            _remove(docker, found)
        # EX_CONFIG means to systemd and people that /etc/wbagent.toml is wrong; a container's 78 means no such thing.
        return outcome.exit_status if outcome.exit_status != EX_CONFIG else 1


def _log_lines(docker: Docker, found: Found) -> tuple[str, ...]:
    """The last lines of a container that goes on; none from a daemon that hangs, which must not cost the watchdog."""
    try:
        docker.ping()
    except DockerAwayError:
        return ()
    return docker.last_log_lines(found.id)


def _remove(docker: Docker, found: Found) -> None:
    try:
        # Kills it if it hangs: SIGTERM first would make its users wait for the whole grace of a process that is stuck.
        docker.remove(found.id)
    except DockerError as error:
        journal.send(
            f"the container is left to the next start, which removes it: {error.message}",
            level="warning",
            message_id=events.DOCKER_AWAY,
        )
