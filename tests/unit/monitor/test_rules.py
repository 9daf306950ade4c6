"""The rule's state machine, replayed over every order of samples, gaps, restarts, reboots and set clocks."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, AlertState, Phase, Rule, Transition, evaluate

LIMIT = 40.0
REPEAT = 1000.0


def rule(for_seconds: float = 300.0, resolve_for: float = 0.0) -> Rule:
    return Rule(LIMIT, for_seconds, REPEAT, resolve_for, every=10.0)


@dataclass(frozen=True)
class Step:
    """Time passes (seconds), then one evaluation; `value` None is no data. The rest is what happened to the host."""

    elapsed: int
    value: float | None
    reboot: bool = False
    clock_set_by: int = 0
    held: bool = False


def replay(chosen: Rule, steps: list[Step]) -> list[Transition | None]:
    """Evaluate every step, with the state stored and loaded again in between as the agent's restart would do."""
    state, wall, boot, booted_at, now = INACTIVE, 1_000_000.0, 0, 0, 0
    told = []
    for step in steps:
        now += step.elapsed
        wall += step.elapsed + step.clock_set_by
        if step.reboot:
            boot, booted_at = boot + 1, now
        moment = Moment(wall, float(now - booted_at), f"boot {boot}")
        evaluation = evaluate(chosen, state, step.value, moment, held=step.held)
        state = AlertState.from_json(json.loads(json.dumps(evaluation.state.to_json())))
        assert state == evaluation.state
        assert (state.no_data_since is None) is (step.value is not None)
        told.append(evaluation.transition)
    return told


def expected(chosen: Rule, steps: list[Step]) -> list[Transition | None]:
    """The invariant of wbagent.monitor.rules, read off the whole history at every step."""
    told: list[Transition | None] = []
    readings: list[tuple[int, bool]] = []
    firing, last_told, now = False, None, 0
    for step in steps:
        now += step.elapsed
        transition = None
        if step.value is not None:
            breach = step.value >= chosen.above
            readings.append((now, breach))
            window = chosen.for_seconds if breach else chosen.resolve_for
            if breach is not firing and now - streak_start(chosen, readings, window) >= window:
                firing = breach
                readings = [(now, breach)]
                if not firing:
                    transition = Transition.RESOLVED if last_told is not None else None
                    last_told = None
            if firing and breach and not step.held and (last_told is None or now - last_told >= chosen.repeat_every):
                transition = Transition.FIRING if last_told is None else Transition.REPEATED
                last_told = now
        told.append(transition)
    return told


def streak_start(chosen: Rule, readings: list[tuple[int, bool]], window: float) -> int:
    """When the newest run of like readings began, none of them too far from the one before."""
    start, kind = readings[-1]
    for at, breach in reversed(readings):
        if breach is not kind or start - at > chosen.longest_gap(window):
            break
        start = at
    return start


values = st.one_of(st.none(), st.sampled_from([0.0, 39.999, 40.0, 63.0, 100.0]))
elapsed = st.one_of(st.just(10), st.sampled_from([0, 1, 24, 25, 26, 150, 299, 300, 301, 1000]), st.integers(0, 2000))
windows = st.sampled_from([0.0, 10.0, 20.0, 300.0])
damping = st.sampled_from([0.0, 10.0, 120.0])
quiet_steps = st.lists(st.builds(Step, elapsed, values, st.booleans(), held=st.booleans()), max_size=60)
wild_steps = st.lists(
    st.builds(Step, elapsed, values, st.booleans(), st.sampled_from([0, 0, -86_400, 86_400, 3]), held=st.booleans()),
    max_size=60,
)


@given(windows, damping, quiet_steps)
@example(300.0, 0.0, [Step(10, 90.0) for _ in range(150)])
@example(300.0, 120.0, [Step(10, 90.0 if number % 40 < 32 else 10.0) for number in range(200)])
def test_every_order_of_samples_gaps_holds_restarts_and_reboots(
    window: float, resolve_for: float, steps: list[Step]
) -> None:
    assert replay(rule(window, resolve_for), steps) == expected(rule(window, resolve_for), steps)


@given(windows, damping, wild_steps)
def test_setting_the_clock_changes_nothing_within_a_boot(window: float, resolve_for: float, steps: list[Step]) -> None:
    steps = [replace(step, reboot=False) for step in steps]
    assert replay(rule(window, resolve_for), steps) == expected(rule(window, resolve_for), steps)


@given(windows, damping, wild_steps)
def test_notices_stay_in_order_whatever_the_clock_does(window: float, resolve_for: float, steps: list[Step]) -> None:
    told = False
    for step, transition in zip(steps, replay(rule(window, resolve_for), steps), strict=True):
        if transition is None:
            continue
        assert step.value is not None
        assert told is (transition is not Transition.FIRING)
        assert (step.value >= LIMIT) is (transition is not Transition.RESOLVED)
        assert transition is Transition.RESOLVED or not step.held
        told = transition is not Transition.RESOLVED


def test_the_guides_rule() -> None:
    """40 % or more for 5 minutes or more, sampled every 10 s: told with the sample that completes the 5 minutes."""
    steps = [Step(10, 45.0) for _ in range(40)]
    told = replay(rule(), steps)
    assert told[:30] == [None] * 30
    assert told[30] is Transition.FIRING
    assert told[31:] == [None] * 9


def test_one_sample_below_begins_the_window_anew() -> None:
    steps = [Step(10, 39.9 if number == 20 else 90.0) for number in range(60)]
    assert replay(rule(), steps).index(Transition.FIRING) == 51


@pytest.mark.parametrize(("outage", "fires_at_once"), [(300, True), (301, False)])
def test_an_outage_of_the_agent_while_pending(outage: int, fires_at_once: bool) -> None:
    steps = [Step(10, 90.0), Step(10, 90.0), Step(outage, 90.0)]
    assert (replay(rule(), steps)[-1] is Transition.FIRING) is fires_at_once


def test_a_window_shorter_than_the_sampling_period_fires_too() -> None:
    assert replay(rule(6.0), [Step(10, 90.0), Step(10, 90.0)]) == [None, Transition.FIRING]


def test_no_data_keeps_a_firing_alert_firing_and_silent() -> None:
    steps = [Step(10, 90.0) for _ in range(31)] + [Step(600, None) for _ in range(10)]
    told = replay(rule(), [*steps, Step(10, 10.0)])
    assert told[30] is Transition.FIRING
    assert told[31:41] == [None] * 10
    assert told[41] is Transition.RESOLVED


def test_a_long_lack_of_data_is_no_proof() -> None:
    steps = [Step(10, 90.0), *[Step(10, None) for _ in range(40)], Step(10, 90.0)]
    assert replay(rule(), steps) == [None] * 42


def test_firing_survives_a_reboot_and_is_repeated() -> None:
    steps = [*[Step(10, 90.0) for _ in range(31)], Step(200, 90.0, reboot=True), Step(800, 90.0)]
    told = replay(rule(), steps)
    assert told[31] is None
    assert told[32] is Transition.REPEATED


def test_a_clock_set_back_across_a_reboot_neither_repeats_nor_silences() -> None:
    steps = [*[Step(10, 90.0) for _ in range(31)], Step(10, 90.0, reboot=True, clock_set_by=-(10**9)), Step(1000, 90.0)]
    told = replay(rule(), steps)
    assert told[31] is None
    assert told[32] is Transition.REPEATED


def test_a_clock_set_back_across_a_reboot_while_pending_begins_the_window_anew() -> None:
    steps = [Step(10, 90.0), Step(10, 90.0, reboot=True, clock_set_by=-(10**5)), *[Step(10, 90.0) for _ in range(30)]]
    assert replay(rule(), steps).index(Transition.FIRING) == 31


def test_phases() -> None:
    now = Moment(0.0, 0.0, "a")
    pending = evaluate(rule(), INACTIVE, 50.0, now).state
    assert pending.phase is Phase.PENDING
    assert evaluate(rule(0.0), INACTIVE, 40.0, now).state.phase is Phase.FIRING
    assert evaluate(rule(), pending, 39.0, now).state == INACTIVE


def test_damping() -> None:
    """Over only after so long below; a breach before that is the same firing period, and nobody is told again."""
    chosen = rule(0.0, resolve_for=120.0)
    up, down = Step(10, 90.0), Step(10, 10.0)
    told = replay(chosen, [up, *[down] * 11, up, *[down] * 13])
    assert told == [Transition.FIRING, *[None] * 24, Transition.RESOLVED]


@pytest.mark.parametrize(("outage", "over"), [(120, True), (121, False)])
def test_an_outage_while_resolving(outage: int, over: bool) -> None:
    told = replay(rule(0.0, resolve_for=120.0), [Step(10, 90.0), Step(10, 10.0), Step(outage, 10.0)])
    assert (told[-1] is Transition.RESOLVED) is over


def test_what_is_held_is_told_when_the_hold_ends_and_it_still_fires() -> None:
    held, free = Step(10, 90.0, held=True), Step(10, 90.0)
    assert replay(rule(0.0), [held, held, free, free]) == [None, None, Transition.FIRING, None]
    assert replay(rule(0.0), [held, Step(10, 10.0), free]) == [None, None, Transition.FIRING]


def test_who_was_told_hears_of_the_end_even_in_a_hold() -> None:
    assert replay(rule(0.0), [Step(10, 90.0), Step(10, 10.0, held=True)]) == [Transition.FIRING, Transition.RESOLVED]
