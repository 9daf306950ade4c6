"""When a disk will be full: found through noise and steps where it fills, and never where it does not."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wbagent.monitor.trend import WINDOW_S, Point, seconds_left

WHOLE = 1000e9
STEP = 600.0
COUNT = int(WINDOW_S / STEP)


def points(values: list[float]) -> list[Point]:
    return [(1e9 + STEP * number, value) for number, value in enumerate(values)]


def falling(per_hour: float, begin: float = 500e9) -> list[float]:
    return [begin - per_hour * number * STEP / 3600 for number in range(COUNT)]


@given(per_hour=st.floats(3e9, 80e9))
def test_a_steady_loss_is_found_to_the_second(per_hour: float) -> None:
    values = falling(per_hour)
    assert seconds_left(points(values), values[-1], WHOLE) == pytest.approx(values[-1] / per_hour * 3600, rel=1e-6)


@given(seed=st.integers(0, 2**32), per_hour=st.floats(20e9, 80e9), wrong=st.floats(0, 1000e9))
def test_noise_and_a_few_wrong_points_hardly_bend_it(seed: int, per_hour: float, wrong: float) -> None:
    dice = random.Random(seed)
    noisy = [value + dice.uniform(-0.2, 0.2) * per_hour for value in falling(per_hour)]
    for number in dice.sample(range(COUNT * 3 // 4), 3):
        noisy[number] = wrong
    found = seconds_left(points(noisy), 100e9, WHOLE)
    assert found == pytest.approx(100e9 / per_hour * 3600, rel=0.2)


@given(st.lists(st.floats(495.1e9, 504.9e9), min_size=2, max_size=60))
def test_what_stays_within_one_percent_is_noise_in_whatever_order(values: list[float]) -> None:
    assert seconds_left(points(values), 1e9, WHOLE) is None
    assert seconds_left(points(sorted(values, reverse=True)), 1e9, WHOLE) is None


@settings(derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_wild_noise_is_no_trend(seed: int) -> None:
    """As of a host that unpacks and removes large things all day."""
    dice = random.Random(seed)
    assert seconds_left(points([dice.uniform(300e9, 500e9) for _ in range(COUNT)]), 50e9, WHOLE) is None


@given(st.lists(st.floats(0, 50e9), min_size=12, max_size=60))
def test_what_grows_is_never_full(gains: list[float]) -> None:
    values = [sum(gains[:number]) for number in range(len(gains))]
    assert seconds_left(points(values), 1e9, WHOLE) is None


@given(at=st.integers(0, COUNT), size=st.floats(0, 400e9), seed=st.integers(0, 2**32))
@example(at=16, size=8381479240.0, seed=20192785)
def test_one_step_is_no_trend(at: int, size: float, seed: int) -> None:
    """Somebody copied a large file; around it the usual noise."""
    dice = random.Random(seed)
    values = [(500e9 if number < at else 500e9 - size) + dice.uniform(-1e9, 1e9) for number in range(COUNT)]
    assert seconds_left(points(values), 100e9, WHOLE) is None


@given(ramp=st.integers(1, COUNT * 2 // 3), size=st.floats(0, 400e9))
def test_a_loss_that_is_over_is_no_trend(ramp: int, size: float) -> None:
    """A restore filled the disk for hours and has ended since."""
    values = [500e9 - size * min(number, ramp) / ramp for number in range(COUNT)]
    assert seconds_left(points(values), 100e9, WHOLE) is None


@given(length=st.integers(1, 9), begin=st.integers(0, COUNT), size=st.floats(0, 400e9))
def test_a_file_that_comes_and_goes_is_no_trend(length: int, begin: int, size: float) -> None:
    """The copy that a backup makes, also while it is there."""
    values = [500e9 - (size if begin <= number < begin + length else 0) for number in range(COUNT)]
    assert seconds_left(points(values), 100e9, WHOLE) is None


@pytest.mark.parametrize("count", [0, 1, 11, 12])
def test_a_short_past_says_nothing(count: int) -> None:
    assert seconds_left(points(falling(50e9)[:count]), 1e9, WHOLE) is None
    assert seconds_left(points(falling(50e9)[:13]), 1e9, WHOLE) is not None


def test_a_full_disk_has_no_time_left() -> None:
    assert seconds_left(points(falling(50e9)), 0.0, WHOLE) == 0
