"""A burst of events makes few messages, and every event is told once; replayed over every order and interruption."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wbagent.alerts.throttle import FIRST_WINDOW_S, LONGEST_WINDOW_S, Burst, Event, decide
from wbagent.moment import Moment

EPOCH = 1_000_000.0


def at(seconds: float, boot: str = "a") -> Moment:
    return Moment(EPOCH + seconds, seconds, boot)


def event(number: int, seconds: float) -> Event:
    return Event(f"e{number}", EPOCH + seconds, "exit status 1")


def look(burst: Burst | None, history: list[Event], now: Moment) -> tuple[Burst, list[str]]:
    stored = Burst.from_json(json.loads(json.dumps(burst.to_json()))) if burst else None
    decision = decide(stored, history, now)
    return decision.burst, [told.key for told in decision.tell]


def test_the_first_is_told_at_once_the_others_as_one() -> None:
    history: list[Event] = []
    burst, told = look(None, history, at(0))
    assert told == []
    history += [event(1, 100)]
    burst, told = look(burst, history, at(101))
    assert told == ["e1"]
    history += [event(2, 110), event(3, 400)]
    burst, told = look(burst, history, at(700))
    assert told == []
    burst, told = look(burst, history, at(101 + FIRST_WINDOW_S))
    assert told == ["e2", "e3"]


def test_a_quiet_window_ends_the_burst() -> None:
    burst, told = look(Burst(), [event(1, 0)], at(0))
    burst, told = look(burst, [event(1, 0)], at(FIRST_WINDOW_S))
    assert told == []
    burst, told = look(burst, [event(1, 0), event(2, 700)], at(700))
    assert told == ["e2"]
    assert burst.window == FIRST_WINDOW_S


def test_what_is_long_past_at_the_first_look_is_no_news() -> None:
    history = [event(1, 0), event(2, 5000)]
    assert look(None, history, at(5100))[1] == ["e2"]


def test_a_day_of_crashing_is_a_handful_of_messages() -> None:
    history, burst, messages = [], Burst(), 0
    for minute in range(24 * 60):
        history.append(event(minute, minute * 60))
        burst, told = look(burst, history[-500:], at(minute * 60))
        messages += bool(told)
    assert messages <= 12


looks = st.lists(
    st.tuples(
        st.integers(0, 3),  # events since the last look
        st.sampled_from([1, 10, 60, 599, 600, 601, 20_000]),  # seconds that passed
        st.booleans(),  # a reboot
        st.booleans(),  # the history has lost its older half
    ),
    max_size=60,
)


@given(looks)
def test_every_event_is_told_exactly_once_and_in_order(plan: list[tuple[int, int, bool, bool]]) -> None:
    history: list[Event] = []
    everything: list[str] = []
    told: list[str] = []
    messages: list[float] = []
    burst: Burst | None = Burst()
    now, boot, booted_at = 0.0, 0, 0.0
    untold = 0
    for count, passed, reboot, trimmed in plan:
        for number in range(count):
            history.append(event(len(everything), now + passed * (number + 1) / (count + 1)))
            everything.append(history[-1].key)
        untold += count
        now += passed
        if reboot:
            boot, booted_at = boot + 1, now
        if trimmed:
            # The history keeps hundreds; it never loses what is not told yet and the newest one that is.
            history = history[-(untold + 1) :] if untold else history[-1:]
        burst, keys = look(burst, history, Moment(EPOCH + now, now - booted_at, str(boot)))
        told += keys
        untold -= len(keys)
        messages += [now] * bool(keys)
        assert told == everything[: len(told)]
    _, keys = look(
        burst, history, Moment(EPOCH + now + LONGEST_WINDOW_S, now - booted_at + LONGEST_WINDOW_S, str(boot))
    )
    assert told + keys == everything
    assert all(later - earlier >= FIRST_WINDOW_S for earlier, later in pairwise(messages))


@given(st.integers(0, 20))
def test_what_the_history_has_lost_is_told_by_the_clock(lost: int) -> None:
    history = [event(number, number * 10) for number in range(40)]
    burst = Burst("e5", EPOCH + 50)
    told = look(burst, history[lost:], at(1000))[1]
    assert told == [one.key for one in history[max(6, lost) :]]


def test_a_line_of_the_history_that_was_lost_brings_no_old_news() -> None:
    """The event told last cannot be read any more; older ones can."""
    history = [event(number, number * 10) for number in range(40) if number != 5]
    assert look(Burst("e5", EPOCH + 50), history, at(1000))[1][0] == "e6"
