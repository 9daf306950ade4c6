"""CPU samples: what counts as busy, and when there is nothing to say."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.monitor.cpu import CpuSampler, CpuTimes, busy_percent

START = CpuTimes(user=100, nice=10, system=50, idle=1000, iowait=40, irq=1, softirq=2, steal=30)

times = st.builds(CpuTimes, *[st.floats(0, 1e9) for _ in range(8)])


@pytest.mark.parametrize(
    ("spent", "busy"),
    [
        ({"user": 10.0}, 100.0),
        ({"idle": 10.0}, 0.0),
        ({"iowait": 10.0}, 0.0),
        ({"steal": 10.0}, 0.0),
        ({"user": 1.0, "nice": 1.0, "system": 1.0, "irq": 0.5, "softirq": 0.5, "idle": 6.0}, 40.0),
        ({"user": 4.0, "idle": 2.0, "iowait": 2.0, "steal": 2.0}, 40.0),
    ],
)
def test_what_counts(spent: dict[str, float], busy: float) -> None:
    after = replace(START, **{name: getattr(START, name) + seconds for name, seconds in spent.items()})
    assert busy_percent(START, after) == pytest.approx(busy)


def test_no_time_passed() -> None:
    assert busy_percent(START, START) is None


@pytest.mark.parametrize("name", CpuTimes.__slots__)
def test_any_counter_that_went_backwards(name: str) -> None:
    after = replace(START, user=START.user + 50, idle=START.idle + 50)
    assert busy_percent(START, replace(after, **{name: getattr(START, name) - 0.01})) is None


@given(before=times, after=times)
def test_never_outside_the_range(before: CpuTimes, after: CpuTimes) -> None:
    busy = busy_percent(before, after)
    assert busy is None or 0 <= busy <= 100


def test_agrees_with_the_kernel() -> None:
    """The first line of /proc/stat (proc_stat(5)), read here by hand, on both sides of a reading of ours."""

    def kernel() -> list[float]:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]

    earlier = kernel()
    ours = CpuTimes.read()
    later = kernel()
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    for name, low, high in zip(names, earlier, later, strict=True):
        assert low <= getattr(ours, name) <= high, name


def test_guest_time_is_in_user_already() -> None:
    assert not {"guest", "guest_nice"} & set(CpuTimes.__slots__)


def test_first_sample_says_nothing() -> None:
    sampler = CpuSampler()
    assert sampler.sample() is None


def test_second_sample_covers_the_work_in_between() -> None:
    sampler = CpuSampler()
    sampler.sample()
    busy = None
    while not busy:
        # Work until the busy counters, which tick 100 times a second, have moved: the idle ones may be first.
        sum(number * number for number in range(200_000))
        busy = sampler.sample()
    assert busy <= 100
