"""The bandwidth limit: never more than the rate over any span, never a wait for who asks for less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.bucket.pace import Allowance, Throttle, spend

RATE = 1000.0
ASKED = st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 3)), min_size=1, max_size=40)


@given(ASKED)
def test_no_span_sees_more_than_the_rate_a_burst_and_one_piece(asked: list[tuple[int, float]]) -> None:
    allowance, now, passed = Allowance(RATE), 0.0, list[tuple[float, int]]()
    for size, pause in asked:
        now += pause
        allowance, delay = spend(allowance, size, now)
        now += delay
        passed.append((now, size))
    for first, (begin, _) in enumerate(passed):
        for last in range(first, len(passed)):
            end, last_size = passed[last]
            before = sum(size for _, size in passed[first:last])
            assert before <= RATE * (end - begin + 0.25) + 1e-6, f"and one piece of {last_size}"


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=30))
def test_who_keeps_to_the_rate_never_waits(pauses: list[float]) -> None:
    allowance, now = Allowance(RATE), 0.0
    for pause in pauses:
        allowance, delay = spend(allowance, int(pause * RATE * 0.99), now)
        assert delay == pytest.approx(0)
        now += pause


def test_callers_wait_together() -> None:
    now, slept = 0.0, list[float]()
    throttle = Throttle(1_000_000, clock=lambda: now, sleep=slept.append)
    for _ in range(3):
        throttle.wait(1_000_000)
    assert slept == pytest.approx([0.75, 1.75])
    assert throttle.piece == 50_000
