"""Retention's invariant, over every set of backups, every order, and every point at which a prune may end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wbagent.backup.retention import Backup, Policy, Rule, Standing, Verdict, decide

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)

policies = st.builds(
    Policy,
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(0, 6),
    st.integers(0, 4),
    st.sampled_from(["", "drills are switched off"]),
)
# Ages in hours; a negative one is of a backup made while the clock was ahead.
things = st.lists(st.tuples(st.integers(-2000, 24 * 400), st.sampled_from(Standing)), max_size=30)
some_leases = st.sets(st.integers(0, 29), max_size=3)


def backups(ages: Sequence[tuple[int, Standing]]) -> list[Backup]:
    return [Backup(f"{number:04}", standing, NOW - timedelta(hours=age)) for number, (age, standing) in enumerate(ages)]


def proven(*days: int) -> list[Backup]:
    return backups([(24 * day, Standing.PROVEN) for day in days])


def gone(verdicts: Sequence[Verdict]) -> list[str]:
    return [each.id for each in verdicts if not each.keep]


def key(backup: Backup, now: datetime) -> tuple[bool, datetime, str]:
    return backup.at <= now + timedelta(minutes=10), backup.at, backup.id


def assert_right(before: list[Backup], removed: set[str], policy: Policy, now: datetime, leased: set[str]) -> None:
    """What `decide` promises, said once more in other words."""

    def age(backup: Backup) -> tuple[bool, datetime, str]:
        return key(backup, now)

    counts = [each for each in before if each.standing in policy.counting]
    stays = [each for each in before if each.id not in removed]
    staying = [each for each in counts if each.id not in removed]
    assert len(staying) >= min(policy.floor, len(counts))
    assert not leased & removed
    if counts:
        assert max(counts, key=age) in stays
    else:
        assert not removed
    every_proof = [each for each in before if each.standing is Standing.PROVEN]
    assert not every_proof or max(every_proof, key=age) in stays
    for count, layout in ((policy.keep_weekly, "%G%V"), (policy.keep_monthly, "%Y%m")):
        for period in sorted({each.at.strftime(layout) for each in counts}, reverse=True)[:count]:
            assert max((each for each in counts if each.at.strftime(layout) == period), key=age) in stays
    for each in before:
        if each.id in removed:
            complete = each.standing is not Standing.INCOMPLETE
            assert each.at <= now - (policy.keep_days * DAY if complete else policy.remains_after)
            newer = [other for other in staying if age(other) > age(each)]
            assert len(newer) >= (policy.floor if complete else 1)


@given(things, policies, some_leases)
def test_invariant_holds_wherever_a_prune_ends(
    ages: list[tuple[int, Standing]], policy: Policy, numbers: set[int]
) -> None:
    before, leased = backups(ages), {f"{number:04}" for number in numbers}
    due = gone(decide(before, policy, NOW, leased))
    for done in range(len(due) + 1):
        assert_right(before, set(due[:done]), policy, NOW, leased)
        left = [each for each in before if each.id not in due[:done]]
        assert gone(decide(left, policy, NOW, leased)) == due[done:]
        if done < len(due):
            # Ended after the commit record went: what is left is a remainder, which goes all the same.
            half = [replace(each, standing=Standing.INCOMPLETE) if each.id == due[done] else each for each in left]
            assert gone(decide(half, policy, NOW, leased)) == due[done:]


@given(things, policies)
def test_all_that_may_go_goes(ages: list[tuple[int, Standing]], policy: Policy) -> None:
    """One more removal than `decide` allows would break a promise."""
    before = backups(ages)
    due = set(gone(decide(before, policy, NOW)))
    for each in before:
        if each.id not in due:
            try:
                assert_right(before, {*due, each.id}, policy, NOW, set())
            except AssertionError:
                continue
            raise AssertionError(f"{each} could go too")


@given(things, policies, st.randoms(use_true_random=False))
def test_order_does_not_matter(ages: list[tuple[int, Standing]], policy: Policy, random: Random) -> None:
    before = backups(ages)
    shuffled = list(before)
    random.shuffle(shuffled)
    assert decide(shuffled, policy, NOW) == decide(before, policy, NOW)


class History(RuleBasedStateMachine):
    """Months of a host: backups, drills that pass or fail, damage, dead runs, clocks that jump, prunes cut short."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.number = 0
        self.stored: dict[str, Backup] = {}
        self.leased: set[str] = set()
        self.policy = Policy(7, 3, 2, 2)

    @rule(hours=st.integers(1, 200))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(days=st.integers(-60, 60))
    def the_clock_is_set(self, days: int) -> None:
        self.now += days * DAY

    @rule(standing=st.sampled_from([Standing.COMMITTED, Standing.INCOMPLETE]))
    def a_run_ends(self, standing: Standing) -> None:
        self.number += 1
        self.stored[f"{self.number:04}"] = Backup(f"{self.number:04}", standing, self.now)

    @rule(which=st.integers(0, 5), standing=st.sampled_from([Standing.PROVEN, Standing.PROVEN, Standing.DISPROVEN]))
    def a_drill_ends(self, which: int, standing: Standing) -> None:
        self._change(which, Standing.COMMITTED, standing)

    @rule(which=st.integers(0, 20))
    def a_proven_one_is_damaged(self, which: int) -> None:
        self._change(which, Standing.PROVEN, Standing.DAMAGED)

    @rule(which=st.integers(0, 20))
    def a_restore_begins_or_ends(self, which: int) -> None:
        self.leased ^= set(sorted(self.stored)[which : which + 1])

    @rule(reason=st.sampled_from(["", "no mysqld here"]), days=st.integers(1, 10), floor=st.integers(1, 4))
    def the_policy_is_changed(self, reason: str, days: int, floor: int) -> None:
        self.policy = replace(self.policy, keep_days=days, keep_at_least=floor, unproven_because=reason)

    @rule(most=st.integers(0, 40), half=st.booleans())
    def a_prune_ends(self, most: int, half: bool) -> None:
        before = list(self.stored.values())
        due = gone(decide(before, self.policy, self.now, self.leased))
        for name in due[:most]:
            del self.stored[name]
        if half and len(due) > most:
            self.stored[due[most]] = replace(self.stored[due[most]], standing=Standing.INCOMPLETE)
        assert_right(before, set(due), self.policy, self.now, self.leased)

    @invariant()
    def a_whole_prune_leaves_nothing_to_do(self) -> None:
        verdicts = decide(self.stored.values(), self.policy, self.now, self.leased)
        left = [self.stored[each.id] for each in verdicts if each.keep]
        assert gone(decide(left, self.policy, self.now, self.leased)) == []

    def _change(self, which: int, before: Standing, after: Standing) -> None:
        fit = [name for name, each in self.stored.items() if each.standing is before]
        for name in fit[which : which + 1]:
            self.stored[name] = replace(self.stored[name], standing=after)


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_order_of_a_week() -> None:
    answers = {tuple(gone(decide(order, Policy(7, 2), NOW))) for order in permutations(proven(0, 3, 8, 9, 20))}
    assert answers == {("0004", "0003", "0002")}


def test_clock_far_ahead_leaves_the_floor() -> None:
    assert gone(decide(proven(0, 1, 2, 3), Policy(7, 3), NOW + 3650 * DAY)) == ["0003"]


def test_one_of_the_future_is_not_the_newest() -> None:
    """Of before the clock was set right: the data in it is older than that of yesterday."""
    stored = [Backup("2099", Standing.PROVEN, NOW + 20000 * DAY), *proven(2), *backups([(0, Standing.COMMITTED)])]
    assert gone(decide(stored, Policy(1, 1), NOW)) == []


def test_failing_drills_delete_nothing() -> None:
    """Thirty days whose drills fail: the proven ones from before stay, and so does all else."""
    stored = [*proven(40, 41, 42), *(Backup(f"x{day:02}", Standing.DISPROVEN, NOW - day * DAY) for day in range(30))]
    verdicts = decide(stored, Policy(7, 3), NOW)
    assert gone(verdicts) == []
    assert {each.rule for each in verdicts} == {Rule.FLOOR, Rule.YOUNG, Rule.NOTHING_BETTER}


def test_disproven_ones_go_when_enough_newer_are_proven() -> None:
    stored = [*proven(0, 1, 2), Backup("x", Standing.DISPROVEN, NOW - 8 * DAY)]
    assert gone(decide(stored, Policy(7, 3), NOW)) == ["x"]
    assert gone(decide(stored[1:], Policy(7, 3), NOW)) == []


def test_without_drills_the_committed_ones_count_and_the_last_proof_stays() -> None:
    stored = [*proven(30, 31), *(Backup(f"c{day}", Standing.COMMITTED, NOW - day * DAY) for day in range(10))]
    needed = decide(stored, Policy(7, 2), NOW)
    assert gone(needed) == []
    off = decide(stored, Policy(7, 2, unproven_because="[backup.drill] enabled = false"), NOW)
    assert gone(off) == ["0001", "c9", "c8", "c7"]
    assert [each.reason for each in off if each.id == "0000"] == ["the newest that was ever proven"]


def test_weeks_and_months_reach_back() -> None:
    verdicts = decide(proven(*range(120)), Policy(7, 3, keep_weekly=4, keep_monthly=3), NOW)
    kept = {each.id: each.reason for each in verdicts if each.keep}
    # 2026-11-24 is a Tuesday: the Sundays before it are 2, 9, 16 days back; months end 24 and 55 days back.
    assert sorted(kept) == ["0000", "0001", "0002", "0003", "0004", "0005", "0006", "0009", "0016", "0024", "0055"]
    assert kept["0016"] == "the newest proven of week 2026-W45"
    assert kept["0055"] == "the newest proven of month 2026-09"


def test_remains_of_dead_runs_go_after_a_day_and_never_alone() -> None:
    remains = [Backup(f"r{hours}", Standing.INCOMPLETE, NOW - timedelta(hours=hours)) for hours in (2, 25, 9000)]
    assert gone(decide(remains, Policy(7, 3), NOW)) == []
    assert gone(decide([*remains, *proven(0)], Policy(7, 3), NOW)) == ["r9000", "r25"]


def test_what_somebody_reads_stays() -> None:
    stored = proven(0, 1, 2, 50, 60)
    verdicts = decide(stored, Policy(7, 3), NOW, {"0003"})
    assert gone(verdicts) == ["0004"]
    assert [each.reason for each in verdicts if each.rule is Rule.LEASED] == ["somebody reads it (a lease)"]


def test_nothing_to_do() -> None:
    assert decide([], Policy(7, 3), NOW) == ()
