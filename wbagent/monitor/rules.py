"""Alert rules: a pure state machine from samples to the notices that a person gets.

Phases: inactive -> pending -> firing -> inactive. The invariant, for any order of samples, gaps, restarts and reboots:

1. Between the first breaching sample of a streak and `FIRING` at least `for_seconds` have passed, every sample in that
   time breached, and no two of them in a row are further apart than `longest_gap`.
2. `FIRING` is told once per firing period; `REPEATED` only while firing, at least `repeat_every` after the last notice.
3. `RESOLVED` is told exactly when a firing period ends, and only a sample below the threshold ends it.
4. No sample (None) changes nothing: it neither fires, nor resolves, nor repeats. Only the time it lasts counts, by 1.

The state is all that is remembered; it is stored between evaluations, so a restart of the agent is only a gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from wbagent.moment import Moment


class Severity(StrEnum):
    """How soon a person should look: at once, or today."""

    CRITICAL = "critical"
    WARNING = "warning"


class Phase(StrEnum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Transition(StrEnum):
    """What a person is told."""

    FIRING = "firing"
    REPEATED = "repeated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Rule:
    """A number that must stay below `above`: at or over it for `for_seconds` (0: at once) the alert fires.

    After more than `longest_gap` seconds without a sample a streak begins anew. It is the window itself, or two and a
    half sampling periods where the window is shorter than that: a sampler's own rhythm is no gap.
    """

    fingerprint: str
    title: str
    severity: Severity
    above: float
    for_seconds: float
    longest_gap: float
    repeat_every: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the watched number."""

    value: float


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered between two evaluations.

    `since`: first breaching sample of the streak; `last_breach`: the newest one (kept while pending); `told`: the
    newest notice (kept while firing); `value`: the number of the newest notice, or of the newest breach while pending.
    """

    phase: Phase = Phase.INACTIVE
    since: Moment | None = None
    last_breach: Moment | None = None
    told: Moment | None = None
    value: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        moments = {"since": self.since, "last_breach": self.last_breach, "told": self.told}
        return {
            "phase": self.phase.value,
            "value": self.value,
            **{name: moment.to_json() if moment else None for name, moment in moments.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave."""
        names = ("since", "last_breach", "told")
        since, last_breach, told = (Moment.from_json(value[name]) if value[name] else None for name in names)
        return cls(Phase(value["phase"]), since, last_breach, told, value["value"])


INACTIVE = AlertState()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The state to store, and what to tell (at most one notice)."""

    state: AlertState
    transition: Transition | None = None


def evaluate(rule: Rule, previous: AlertState, sample: Sample | None, now: Moment) -> Evaluation:
    """One step of the state machine; the module's docstring states what holds."""
    if sample is None:
        return Evaluation(previous)
    if sample.value < rule.above:
        return Evaluation(INACTIVE, Transition.RESOLVED if previous.phase is Phase.FIRING else None)
    if previous.phase is Phase.FIRING:
        return _still_firing(rule, previous, sample, now)
    since = _streak_begins(rule, previous, now)
    elapsed = now.since(since) or 0.0
    if elapsed >= rule.for_seconds:
        return Evaluation(AlertState(Phase.FIRING, since, told=now, value=sample.value), Transition.FIRING)
    return Evaluation(AlertState(Phase.PENDING, since, last_breach=now, value=sample.value))


def _streak_begins(rule: Rule, previous: AlertState, now: Moment) -> Moment:
    """When the streak of breaches that `now` belongs to began: a gap that is too long begins a new one."""
    if previous.since is None or previous.last_breach is None:
        return now
    gap = now.since(previous.last_breach)
    unknown = gap is None or now.since(previous.since) is None
    return now if unknown or (gap or 0.0) > rule.longest_gap else previous.since


def _still_firing(rule: Rule, previous: AlertState, sample: Sample, now: Moment) -> Evaluation:
    silent = now.since(previous.told) if previous.told else None
    if silent is None:
        # The wall clock was set back across a reboot: counting begins anew rather than waiting for it to catch up.
        return Evaluation(replace(previous, told=now))
    if silent >= rule.repeat_every:
        return Evaluation(replace(previous, told=now, value=sample.value), Transition.REPEATED)
    return Evaluation(previous)
