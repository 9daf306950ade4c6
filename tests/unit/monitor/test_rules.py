"""The rule's state machine, replayed over every order of samples, gaps, restarts, reboots and set clocks."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, AlertState, Phase, Rule, Sample, Severity, Transition, evaluate

LIMIT = 40.0
REPEAT = 1000.0


def rule(for_seconds: float = 300.0) -> Rule:
    return Rule("cpu", "CPU", Severity.WARNING, LIMIT, for_seconds, max(for_seconds, 25.0), REPEAT)


@dataclass(frozen=True)
class Step:
    """Time passes (seconds), then one evaluation; `value` None is no data. The rest is what happened to the host."""

    elapsed: int
    value: float | None
    reboot: bool = False
    clock_set_by: int = 0


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
        sample = None if step.value is None else Sample(step.value)
        evaluation = evaluate(chosen, state, sample, moment)
        state = AlertState.from_json(json.loads(json.dumps(evaluation.state.to_json())))
        assert state == evaluation.state
        told.append(evaluation.transition)
    return told


def expected(chosen: Rule, steps: list[Step]) -> list[Transition | None]:
    """The invariant of wbagent.monitor.rules, read off the whole history at every step."""
    told: list[Transition | None] = []
    readings: list[tuple[int, bool]] = []
    firing, last_told, now = False, 0, 0
    for step in steps:
        now += step.elapsed
        transition = None
        if step.value is not None:
            breach = step.value >= chosen.above
            readings.append((now, breach))
            if firing and not breach:
                firing, transition = False, Transition.RESOLVED
                readings.clear()
            elif firing and now - last_told >= chosen.repeat_every:
                last_told, transition = now, Transition.REPEATED
            elif not firing and breach and now - streak_start(chosen, readings) >= chosen.for_seconds:
                firing, last_told, transition = True, now, Transition.FIRING
        told.append(transition)
    return told


def streak_start(chosen: Rule, readings: list[tuple[int, bool]]) -> int:
    start = readings[-1][0]
    for at, breach in reversed(readings):
        if not breach or start - at > chosen.longest_gap:
            break
        start = at
    return start


values = st.one_of(st.none(), st.sampled_from([0.0, 39.999, 40.0, 63.0, 100.0]))
elapsed = st.one_of(st.just(10), st.sampled_from([0, 1, 24, 25, 26, 150, 299, 300, 301, 1000]), st.integers(0, 2000))
windows = st.sampled_from([0.0, 10.0, 20.0, 300.0])
quiet_steps = st.lists(st.builds(Step, elapsed, values, st.booleans()), max_size=60)
wild_steps = st.lists(
    st.builds(Step, elapsed, values, st.booleans(), st.sampled_from([0, 0, -86_400, 86_400, 3])), max_size=60
)


@given(windows, quiet_steps)
@example(300.0, [Step(10, 90.0) for _ in range(150)])
def test_every_order_of_samples_gaps_restarts_and_reboots(window: float, steps: list[Step]) -> None:
    assert replay(rule(window), steps) == expected(rule(window), steps)


@given(windows, wild_steps)
def test_setting_the_clock_changes_nothing_within_a_boot(window: float, steps: list[Step]) -> None:
    steps = [Step(step.elapsed, step.value, False, step.clock_set_by) for step in steps]
    assert replay(rule(window), steps) == expected(rule(window), steps)


@given(windows, wild_steps)
def test_notices_stay_in_order_whatever_the_clock_does(window: float, steps: list[Step]) -> None:
    firing = False
    for step, transition in zip(steps, replay(rule(window), steps), strict=True):
        if transition is Transition.FIRING:
            assert not firing
            assert step.value is not None
            assert step.value >= LIMIT
            firing = True
        elif transition is Transition.REPEATED:
            assert firing
        elif transition is Transition.RESOLVED:
            assert firing
            assert step.value is not None
            assert step.value < LIMIT
            firing = False
        if firing:
            assert step.value is None or step.value >= LIMIT


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
    pending = evaluate(rule(), INACTIVE, Sample(50.0), now).state
    assert pending.phase is Phase.PENDING
    assert evaluate(rule(0.0), INACTIVE, Sample(40.0), now).state.phase is Phase.FIRING
    assert evaluate(rule(), pending, Sample(39.0), now).state == INACTIVE
