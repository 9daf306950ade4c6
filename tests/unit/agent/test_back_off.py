"""The back-off forgets after ten healthy minutes, and never within a crash loop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wbagent.agent.back_off import HEALTHY_S, back_off_forgets
from wbagent.agent.overview import UnitState

NOW = 1_000_000.0
HEALTHY = UnitState("active", "running", True, "", restarts=7, since=NOW - HEALTHY_S - 1)


def test_a_long_healthy_server_is_forgiven_once() -> None:
    assert back_off_forgets(HEALTHY, NOW)
    assert not back_off_forgets(replace(HEALTHY, restarts=0), NOW)


@pytest.mark.parametrize("active", ["activating", "deactivating", "inactive", "failed"])
def test_a_server_that_does_not_serve_keeps_its_back_off(active: str) -> None:
    assert not back_off_forgets(replace(HEALTHY, active=active), NOW)


def test_a_crash_loop_at_the_cap_is_never_forgiven() -> None:
    """A minute of waiting, a minute of serving, over and over: looked at every second for two hours."""
    for second in range(7200):
        serving = second % 120 >= 60
        since = NOW + second - second % 60
        seen = replace(HEALTHY, active="active" if serving else "activating", since=since, restarts=second // 120 + 1)
        assert not back_off_forgets(seen, NOW + second)


def test_a_unit_that_never_changed_or_a_clock_that_went_back_says_nothing() -> None:
    assert not back_off_forgets(replace(HEALTHY, since=0.0), NOW)
    assert not back_off_forgets(replace(HEALTHY, since=NOW + 3600), NOW)
