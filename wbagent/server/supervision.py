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
    TELL_UNREADY = "tell unready"
    TELL_READY_AGAIN = "tell ready again"


@dataclass(frozen=True, slots=True)
class Limits:
    """The guide's probes: a start-up budget in seconds, and how many /healthz failures in a row mean dead."""

    startup_budget: float
    liveness_failures: int


@dataclass(frozen=True, slots=True)
class Supervision:
    """What is known of the running container; times in monotonic seconds."""

    phase: Phase
    since: float
    failures: int = 0
    unready: bool = False
    last: Answer | None = None


def judge(
    state: Supervision, answer: Answer, now: float, limits: Limits, *, docker_away: bool = False
) -> tuple[Supervision, Decision]:
    """Take in one probe's answer.

    Invariant: while starting, nothing but the spent budget ends the container, however many probes failed (a killed
    migration leaves the database dirty). While serving, only `liveness_failures` failures in a row do, and never while
    Docker is away: then nothing could be started in its place, and "cannot reach Docker" does not mean "server dead".
    Lost readiness is told once and once more when it is over; it ends nothing (Kubernetes' meaning of the two probes).
    """
    state = replace(state, last=answer)
    if state.phase is Phase.STARTING:
        if answer.ok:
            return Supervision(Phase.SERVING, now, last=answer), Decision.ANNOUNCE_READY
        spent = now - state.since >= limits.startup_budget
        return state, Decision.GIVE_UP_START if spent else Decision.EXTEND_START
    if answer.path == READINESS:
        if state.unready is not answer.ok:
            return state, Decision.WAIT
        return replace(state, unready=not answer.ok), Decision.TELL_READY_AGAIN if answer.ok else Decision.TELL_UNREADY
    if answer.ok:
        return replace(state, failures=0), Decision.WAIT
    state = replace(state, failures=state.failures + 1)
    dead = state.failures >= limits.liveness_failures and not docker_away
    return state, Decision.RESTART if dead else Decision.WAIT
