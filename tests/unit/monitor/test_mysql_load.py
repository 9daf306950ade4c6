"""What two looks at MySQL say together: deadlocks within a window, a mean of fsyncs, and restarts in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.moment import Moment
from wbagent.monitor.mysql_load import DEADLOCK_WINDOW_S, Deadlocks, Load, fsync_seconds


def load(
    now: float, uptime: float, deadlocks: int | None = None, fsyncs: int | None = None, spent: float = 0.0
) -> Load:
    return Load(Moment(now, now, "boot"), 1, 100, uptime, deadlocks=deadlocks, fsyncs=fsyncs, fsync_s=spent)


# Seconds since the look before, new deadlocks, whether MySQL was restarted in between.
@given(st.lists(st.tuples(st.integers(2, 400), st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_deadlocks_of_the_last_ten_minutes(looks: list[tuple[int, int, bool]]) -> None:
    found, now, counter, started = Deadlocks(), 0, 0, -1000
    readings: list[tuple[int, int]] = []
    for elapsed, new, restarted in looks:
        now += elapsed
        if restarted:
            started, counter, readings = now - 1, 0, []
        counter += new
        readings.append((now, counter))
        found = found.then(load(now, now - started, deadlocks=counter))
        # The newest reading that is as old as the window, else the oldest of this life of the server.
        base = next((value for when, value in reversed(readings) if now - when >= DEADLOCK_WINDOW_S), readings[0][1])
        assert found.count == counter - base
        assert sum(1 for look in found.looks if now - look.at.wall >= DEADLOCK_WINDOW_S) <= 1
    assert found.then(load(now + 1, now + 1 - started)).count is None


def test_the_mean_of_fsyncs() -> None:
    before = load(0, 100, fsyncs=1000, spent=1.0)
    assert fsync_seconds(None, before) is None
    assert fsync_seconds(before, load(60, 160, fsyncs=1100, spent=21.0)) == pytest.approx(0.2)
    # Too few to say anything: good.
    assert fsync_seconds(before, load(60, 160, fsyncs=1009, spent=21.0)) == 0.0
    # A restart, or statistics that somebody emptied.
    assert fsync_seconds(before, load(60, 5, fsyncs=2000, spent=21.0)) is None
    assert fsync_seconds(before, load(60, 160, fsyncs=10, spent=0.1)) is None
    assert fsync_seconds(before, load(60, 160)) is None
