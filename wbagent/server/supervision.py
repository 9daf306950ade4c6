"""What to do after each probe of the server: a pure function, so that every order of answers can be replayed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from wbagent.server.probe import READINESS, Answer


class Phase(Enum):
    """Where the container is on its way: waiting for /ready, or serving and watched by /healthz."""

    STARTING = "starting"
    SERVING = "serving"


class Decision(Enum):
    """What the runner does next."""

    WAIT = "wait"
    EXTEND_START = "extend start"
    ANNOUNCE_READY = "announce ready"
    GIVE_UP_START = "give up start"
    RESTART = "restart"
    REOPEN_PORT = "reopen port"
    AWAIT_DOCKER = "await Docker"
    TELL_UNREADY = "tell unready"
    RECORD_UNREADY = "record unready"
    TELL_READY_AGAIN = "tell ready again"
    RECORD_READY_AGAIN = "record ready again"


@dataclass(frozen=True, slots=True)
class Limits:
    """The guide's probes: a start-up budget in seconds, and how many /healthz failures in a row mean dead.

    `unready_after`: lost readiness that lasts so many seconds is worth a record.
    """

    startup_budget: float
    liveness_failures: int
    unready_after: float = 300.0


@dataclass(frozen=True, slots=True)
class Supervision:
    """What is known of the running container; times in monotonic seconds.

    `port_seen`: the published port has answered; `port_failures`: how often in a row it did not since, though the
    container answered at its own address. `unready_since`: when /ready was seen failing first, None while it answers;
    `unready_for`: how long that lasts, or lasted when over; `unready_recorded`: that was long enough for a record.
    """

    phase: Phase
    since: float
    failures: int = 0
    unready_since: float | None = None
    unready_for: float = 0.0
    unready_recorded: bool = False
    last: Answer | None = None
    port_seen: bool = False
    port_failures: int = 0

    @property
    def unready(self) -> bool:
        """Whether it lives and does not answer /ready."""
        return self.unready_since is not None


def judge(
    state: Supervision, answer: Answer, now: float, limits: Limits, *, docker_away: bool = False
) -> tuple[Supervision, Decision]:
    """Take in one probe's answer.

    Invariant: while starting, nothing but the spent budget ends the container, however many probes failed (a killed
    migration leaves the database dirty). While serving, only `liveness_failures` failures in a row do, and never while
    Docker is away: "cannot reach Docker" does not mean "server dead". A server that does not answer either while Docker
    is away is dead for users, and only a Docker that is back can show what is left of it: the runner then leaves the
    container alone and makes room for one that waits for Docker, so that the unit no longer claims to serve.
    A published port that died under a live container (docker-proxy killed) is dead for users and comes back only with a
    new container: after as many failures in a row it is restarted too, but only if the port had ever answered (else a
    firewall would make that a loop), and not while Docker is away (a daemon that returns opens the port itself).
    Lost readiness is told once and once more when it is over; it ends nothing (Kubernetes' meaning of the two probes).
    What lasts for `unready_after` is recorded once, and its end too.
    """
    state = replace(state, last=answer)
    if state.phase is Phase.STARTING:
        if answer.ok:
            return Supervision(Phase.SERVING, now, last=answer, port_seen=not answer.detour), Decision.ANNOUNCE_READY
        spent = now - state.since >= limits.startup_budget
        return state, Decision.GIVE_UP_START if spent else Decision.EXTEND_START
    if answer.path == READINESS:
        return _judge_readiness(state, answer, now, limits)
    if answer.ok:
        return _judge_port(replace(state, failures=0), answer, limits, docker_away=docker_away)
    state = replace(state, failures=state.failures + 1)
    if state.failures < limits.liveness_failures:
        return state, Decision.WAIT
    return state, Decision.AWAIT_DOCKER if docker_away else Decision.RESTART


def _judge_readiness(state: Supervision, answer: Answer, now: float, limits: Limits) -> tuple[Supervision, Decision]:
    since = state.unready_since
    if answer.ok:
        if since is None:
            return state, Decision.WAIT
        over = Decision.RECORD_READY_AGAIN if state.unready_recorded else Decision.TELL_READY_AGAIN
        return replace(state, unready_since=None, unready_for=now - since, unready_recorded=False), over
    if since is None:
        return replace(state, unready_since=now, unready_for=0.0), Decision.TELL_UNREADY
    state = replace(state, unready_for=now - since)
    if state.unready_recorded or state.unready_for < limits.unready_after:
        return state, Decision.WAIT
    return replace(state, unready_recorded=True), Decision.RECORD_UNREADY


def _judge_port(
    state: Supervision, answer: Answer, limits: Limits, *, docker_away: bool
) -> tuple[Supervision, Decision]:
    if not answer.detour:
        return replace(state, port_seen=True, port_failures=0), Decision.WAIT
    if docker_away or not state.port_seen:
        return replace(state, port_failures=0), Decision.WAIT
    state = replace(state, port_failures=state.port_failures + 1)
    return state, Decision.REOPEN_PORT if state.port_failures >= limits.liveness_failures else Decision.WAIT
