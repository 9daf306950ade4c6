"""Retention's invariant, over every set of ages, every order, and every point at which it may be interrupted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.backup.retention import Kept, Policy, expired

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

# Ages in hours; a negative one is of a backup made while the clock was ahead.
ages = st.lists(st.integers(min_value=-2000, max_value=24 * 400), max_size=30)
policies = st.builds(Policy, st.integers(min_value=1, max_value=40), st.integers(min_value=1, max_value=12))


def backups(hours: list[int]) -> list[Kept]:
    return [Kept(f"{number:04}", NOW - timedelta(hours=age)) for number, age in enumerate(hours)]


def assert_kept(all_backups: list[Kept], gone: tuple[str, ...], policy: Policy, now: datetime) -> None:
    stays = [each for each in all_backups if each.id not in gone]
    assert len(stays) >= min(policy.keep_at_least, len(all_backups))
    for each in all_backups:
        if each.id in gone:
            assert each.finished_at <= now - timedelta(days=policy.keep_days)
            assert all(each.finished_at <= other.finished_at for other in stays)


@given(ages, policies)
def test_invariant_holds_at_every_point_of_interruption(hours: list[int], policy: Policy) -> None:
    before = backups(hours)
    gone = expired(before, policy, NOW)
    for done in range(len(gone) + 1):
        assert_kept(before, gone[:done], policy, NOW)
        left = [each for each in before if each.id not in gone[:done]]
        assert expired(left, policy, NOW) == gone[done:]


@given(ages, policies)
def test_all_that_may_go_goes(hours: list[int], policy: Policy) -> None:
    before = backups(hours)
    stays = [each for each in before if each.id not in expired(before, policy, NOW)]
    old = [each for each in stays if each.finished_at <= NOW - timedelta(days=policy.keep_days)]
    assert not old or len(stays) <= policy.keep_at_least


def test_order_does_not_matter() -> None:
    hours = [24 * day for day in (0, 3, 8, 9, 20)]
    policy = Policy(keep_days=7, keep_at_least=2)
    answers = {expired(order, policy, NOW) for order in permutations(backups(hours))}
    assert answers == {("0004", "0003", "0002")}


@given(st.lists(st.integers(min_value=0, max_value=72), min_size=1, max_size=60), policies)
def test_history_of_days_with_gaps(gaps: list[int], policy: Policy) -> None:
    """A backup after each gap (hours), thinned out each time: the newest and every young one is there at any time."""
    kept: list[Kept] = []
    now = NOW
    for number, gap in enumerate(gaps):
        now += timedelta(hours=gap)
        kept.append(Kept(f"{number:04}", now))
        before = list(kept)
        gone = expired(kept, policy, now)
        kept = [each for each in kept if each.id not in gone]
        assert_kept(before, gone, policy, now)
        assert kept[-1].finished_at == now


def test_clock_far_ahead_leaves_the_floor() -> None:
    before = backups([0, 24, 48, 72])
    gone = expired(before, Policy(keep_days=7, keep_at_least=3), NOW + timedelta(days=3650))
    assert gone == ("0003",)


def test_nothing_to_do() -> None:
    assert expired([], Policy(7, 3), NOW) == ()
