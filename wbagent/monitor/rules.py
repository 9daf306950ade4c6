"""Alert rules: a pure state machine from samples to the notices that a person gets.

Phases: inactive -> pending -> firing -> resolving -> inactive. The invariant, for any order of samples, gaps, restarts,
reboots and holds:

1. Between the first breaching sample of a streak and the start of a firing period at least `for_seconds` have passed,
   every sample in that time breached, and no two of them in a row are further apart than `longest_gap(for_seconds)`.
2. A firing period ends when in the same manner every sample of at least `resolve_for` was below the threshold. A breach
   before that is the same firing period, of which nobody is told again.
3. `FIRING` is told once per firing period, at the first breach that is not held; `REPEATED` only after it, at least
   `repeat_every` after the last notice, and not while held; neither is told while samples are below the threshold.
4. `RESOLVED` is told exactly when a firing period ends that was told of, held or not: who heard that something is
   wrong hears that it is over.
5. No sample (None) changes nothing but `no_data_since`: it neither fires, nor resolves, nor repeats. Only the time it
   lasts counts, by 1 and 2: an outage no longer than the window resets nothing, a longer one begins it anew.

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
    """Where an alert stands; a resolving one still fires, while its samples have not been good for long enough."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVING = "resolving"


class Transition(StrEnum):
    """What a person is told."""

    FIRING = "firing"
    REPEATED = "repeated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Rule:
    """A number that must stay below `above`: at or over it for `for_seconds` (0: at once) the alert fires.

    It is over after `resolve_for` below it (0: at once). `every`: seconds between two samples, 0 where there is none.
    """

    above: float
    for_seconds: float
    repeat_every: float
    resolve_for: float = 0.0
    every: float = 0.0

    def longest_gap(self, window: float) -> float:
        """After more than so many seconds without a sample a streak begins anew: the window that it is to fill.

        Or two and a half sampling periods where the window is shorter than that: a sampler's own rhythm is no gap.
        """
        return max(window, 2.5 * self.every)


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered between two evaluations.

    `since`: first breach of the streak or firing period. `good_since`: first good sample, while resolving. `newest`:
    the newest sample of the streak, while pending or resolving. `told`: the newest notice of this firing period, None
    while nobody has been told. `value`: the number of the newest notice, or of the newest breach before there is one.
    `no_data_since`: the first look without a sample after the newest one.
    """

    phase: Phase = Phase.INACTIVE
    since: Moment | None = None
    good_since: Moment | None = None
    newest: Moment | None = None
    told: Moment | None = None
    value: float | None = None
    no_data_since: Moment | None = None

    @property
    def fires(self) -> bool:
        """Whether this is within a firing period."""
        return self.phase in {Phase.FIRING, Phase.RESOLVING}

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        moments = {name: getattr(self, name) for name in _MOMENTS}
        return {
            "phase": self.phase.value,
            "value": self.value,
            **{name: moment.to_json() if moment else None for name, moment in moments.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave."""
        moments = {name: Moment.from_json(value[name]) if value[name] else None for name in _MOMENTS}
        return cls(phase=Phase(value["phase"]), value=value["value"], **moments)


_MOMENTS = ("since", "good_since", "newest", "told", "no_data_since")
INACTIVE = AlertState()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The state to store, and what to tell (at most one notice)."""

    state: AlertState
    transition: Transition | None = None


def evaluate(rule: Rule, previous: AlertState, sample: float | None, now: Moment, *, held: bool = False) -> Evaluation:
    """One step of the state machine; the module's docstring states what holds.

    `held`: nobody is to be told for now, because the alert is silenced or follows from another one.
    """
    if sample is None:
        return Evaluation(replace(previous, no_data_since=previous.no_data_since or now))
    previous = replace(previous, no_data_since=None)
    if sample >= rule.above:
        return _breach(rule, previous, sample, now, held=held)
    if not previous.fires:
        return Evaluation(INACTIVE)
    good_since = _streak_begins(previous.good_since, previous.newest, rule.longest_gap(rule.resolve_for), now)
    if (now.since(good_since) or 0.0) >= rule.resolve_for:
        return Evaluation(INACTIVE, Transition.RESOLVED if previous.told else None)
    return Evaluation(replace(previous, phase=Phase.RESOLVING, good_since=good_since, newest=now))


def _breach(rule: Rule, previous: AlertState, value: float, now: Moment, *, held: bool) -> Evaluation:
    if previous.fires:
        return _still_firing(
            rule, replace(previous, phase=Phase.FIRING, good_since=None, newest=None), value, now, held=held
        )
    since = _streak_begins(previous.since, previous.newest, rule.longest_gap(rule.for_seconds), now)
    if (now.since(since) or 0.0) < rule.for_seconds:
        return Evaluation(AlertState(Phase.PENDING, since, newest=now, value=value))
    return _still_firing(rule, AlertState(Phase.FIRING, since, value=value), value, now, held=held)


def _streak_begins(first: Moment | None, newest: Moment | None, longest_gap: float, now: Moment) -> Moment:
    """When the streak of like samples that `now` belongs to began: a gap that is too long begins a new one."""
    if first is None or newest is None:
        return now
    gap = now.since(newest)
    unknown = gap is None or now.since(first) is None
    return now if unknown or (gap or 0.0) > longest_gap else first


def _still_firing(rule: Rule, state: AlertState, value: float, now: Moment, *, held: bool) -> Evaluation:
    if state.told is None:
        if held:
            return Evaluation(replace(state, value=value))
        return Evaluation(replace(state, told=now, value=value), Transition.FIRING)
    silent = now.since(state.told)
    if silent is None:
        # The wall clock was set back across a reboot: counting begins anew rather than waiting for it to catch up.
        return Evaluation(replace(state, told=now))
    if silent >= rule.repeat_every and not held:
        return Evaluation(replace(state, told=now, value=value), Transition.REPEATED)
    return Evaluation(state)
