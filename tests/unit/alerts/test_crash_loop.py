"""A crash loop, replayed: it begins with enough ends in a short time, and is over only with a time without any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.alerts.crash_loop import ENDS, WINDOW_S, level

steps = st.lists(
    st.tuples(st.sampled_from([1.0, 60.0, 599.0, 600.0, 4000.0]), st.booleans(), st.booleans()), max_size=80
)


@given(steps)
def test_every_order_of_ends_and_looks(plan: list[tuple[float, bool, bool]]) -> None:
    """Each step: so much time passes, then it perhaps ends, and is perhaps up when it is looked at."""
    now, firing = 1_000_000.0, False
    ends: list[float] = []
    for passed, ended, up in plan:
        now += passed
        ends += [now] * ended
        before, firing = firing, level(ends, now, firing=firing, up=up) >= ENDS
        recent = [at for at in ends if at > now - WINDOW_S]
        if firing and not before:
            assert len(recent) >= ENDS
        if before and not firing:
            assert not recent
            assert up


def test_it_lasts_as_long_as_the_server_does_not_come_up() -> None:
    ends = [0.0, 1.0, 2.0, 4.0, 8.0]
    assert level(ends, 9.0, firing=False, up=False) == ENDS
    assert level(ends[:4], 9.0, firing=False, up=False) == ENDS - 1
    assert level(ends, 9000.0, firing=True, up=False) == ENDS
    assert level(ends, 9000.0, firing=True, up=True) == 0


def test_a_clock_that_was_set_back_hides_no_loop() -> None:
    assert level([1000.0 + number for number in range(5)], 10.0, firing=False, up=False) == ENDS
