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
    TELL_UNREADY = "tell unready"
    TELL_READY_AGAIN = "tell ready again"


@dataclass(frozen=True, slots=True)
class Limits:
    """The guide's probes: a start-up budget in seconds, and how many /healthz failures in a row mean dead."""

    startup_budget: float
    liveness_failures: int


@dataclass(frozen=True, slots=True)
class Supervision:
    """What is known of the running container; times in monotonic seconds.

    `port_seen`: the published port has answered; `port_failures`: how often in a row it did not since, though the
    container answered at its own address.
    """

    phase: Phase
    since: float
    failures: int = 0
    unready: bool = False
    last: Answer | None = None
    port_seen: bool = False
    port_failures: int = 0


def judge(
    state: Supervision, answer: Answer, now: float, limits: Limits, *, docker_away: bool = False
) -> tuple[Supervision, Decision]:
    """Take in one probe's answer.

    Invariant: while starting, nothing but the spent budget ends the container, however many probes failed (a killed
    migration leaves the database dirty). While serving, only `liveness_failures` failures in a row do, and never while
    Docker is away: then nothing could be started in its place, and "cannot reach Docker" does not mean "server dead".
    A published port that died under a live container (docker-proxy killed) is dead for users and comes back only with a
    new container: after as many failures in a row it is restarted too, but only if the port had ever answered (else a
    firewall would make that a loop), and not while Docker is away (a daemon that returns opens the port itself).
    Lost readiness is told once and once more when it is over; it ends nothing (Kubernetes' meaning of the two probes).
    """
    state = replace(state, last=answer)
    if state.phase is Phase.STARTING:
        if answer.ok:
            return Supervision(Phase.SERVING, now, last=answer, port_seen=not answer.detour), Decision.ANNOUNCE_READY
        spent = now - state.since >= limits.startup_budget
        return state, Decision.GIVE_UP_START if spent else Decision.EXTEND_START
    if answer.path == READINESS:
        if state.unready is not answer.ok:
            return state, Decision.WAIT
        return replace(state, unready=not answer.ok), Decision.TELL_READY_AGAIN if answer.ok else Decision.TELL_UNREADY
    if answer.ok:
        return _judge_port(replace(state, failures=0), answer, limits, docker_away=docker_away)
    state = replace(state, failures=state.failures + 1)
    dead = state.failures >= limits.liveness_failures and not docker_away
    return state, Decision.RESTART if dead else Decision.WAIT


def _judge_port(
    state: Supervision, answer: Answer, limits: Limits, *, docker_away: bool
) -> tuple[Supervision, Decision]:
    if not answer.detour:
        return replace(state, port_seen=True, port_failures=0), Decision.WAIT
    if docker_away or not state.port_seen:
        return replace(state, port_failures=0), Decision.WAIT
    state = replace(state, port_failures=state.port_failures + 1)
    return state, Decision.REOPEN_PORT if state.port_failures >= limits.liveness_failures else Decision.WAIT
