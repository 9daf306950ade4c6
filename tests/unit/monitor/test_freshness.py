"""The age of the newest good backup, through clocks that jump, reboots, new destinations and lost memory."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wbagent.moment import Moment
from wbagent.monitor.freshness import Good, Watch, age, look

HOUR = 3600.0


def at(hours: float, boot: str = "one", wall_ahead: float = 0.0) -> Moment:
    """So many hours after the host was set up; `wall_ahead`: hours that the wall clock is wrong by."""
    return Moment(1_800_000_000 + (hours + wall_ahead) * HOUR, hours * HOUR, boot)


def good(hours: float, name: str = "a", wall_ahead: float = 0.0) -> Good:
    return Good(name, at(hours, wall_ahead=wall_ahead).wall)


def test_nothing_is_wanted() -> None:
    assert age(look(Watch(), "", good(0), at(1)), at(2)) is None


def test_a_new_host_has_as_long_as_any_backup() -> None:
    watch = look(Watch(), "s3://b", None, at(5))
    assert age(look(watch, "s3://b", None, at(30)), at(30)) == 25 * HOUR


def test_a_backup_from_before_the_memory_began_is_no_excuse_and_no_alarm() -> None:
    watch = look(Watch(), "s3://b", good(0), at(100))
    assert age(watch, at(100)) == 0
    assert age(watch, at(130)) == 30 * HOUR


def test_a_backup_that_is_seen_late_is_as_old_as_it_is() -> None:
    """The drill took ten hours, or the agent was down."""
    watch = look(look(Watch(), "s3://b", None, at(0)), "s3://b", good(20), at(30))
    assert age(watch, at(30)) == 10 * HOUR
    assert age(watch, at(47)) == 27 * HOUR


def test_another_destination_counts_anew() -> None:
    watch = look(Watch(), "s3://b", good(0), at(0))
    moved = look(watch, "s3://c", None, at(100))
    assert age(moved, at(101)) == HOUR


def test_switched_off_and_on_again() -> None:
    watch = look(Watch(), "s3://b", good(0), at(0))
    off = look(watch, "", good(0), at(50))
    assert age(look(off, "s3://b", good(0), at(60)), at(61)) == HOUR


def test_the_wall_clock_jumps_within_a_boot() -> None:
    watch = look(Watch(), "s3://b", good(0), at(0))
    for ahead in (-5000.0, 5000.0, 0.0):
        watch = look(watch, "s3://b", good(0), at(10, wall_ahead=ahead))
        assert age(watch, at(10, wall_ahead=ahead)) == 10 * HOUR


def test_a_backup_made_while_the_clock_was_ahead() -> None:
    watch = look(Watch(), "s3://b", None, at(0))
    watch = look(watch, "s3://b", good(1, wall_ahead=900), at(1))
    assert age(watch, at(28)) == 27 * HOUR


def test_a_host_that_was_off_for_days() -> None:
    watch = look(Watch(), "s3://b", good(0), at(0))
    back = Moment(at(72).wall, 5.0, "two")
    assert age(look(watch, "s3://b", good(0), back), back) == 72 * HOUR


def test_a_clock_that_was_set_back_across_a_reboot_begins_anew() -> None:
    watch = look(Watch(), "s3://b", good(0), at(0))
    back = Moment(at(-900).wall, 5.0, "two")
    watch = look(watch, "s3://b", good(0), back)
    assert age(watch, back) == 0
    assert age(watch, Moment(back.wall + 27 * HOUR, back.boottime + 27 * HOUR, "two")) == 27 * HOUR


def test_it_is_read_as_it_was_written() -> None:
    watch = look(Watch(), "s3://b", good(0), at(3))
    assert Watch.from_json(watch.to_json()) == watch
    assert Watch.from_json(Watch().to_json()) == Watch()


class OneBoot(RuleBasedStateMachine):
    """Within a boot the age is the true one, whatever is done to the clock; each look may be the agent's first."""

    def __init__(self) -> None:
        super().__init__()
        self.hours = 0.0
        self.ahead = 0.0
        self.watch = look(Watch(), "s3://b", None, self.now())
        self.good: Good | None = None
        self.true_age_began = 0.0

    def now(self) -> Moment:
        return at(self.hours, wall_ahead=self.ahead)

    @rule(hours=st.integers(0, 40))
    def time_passes(self, hours: int) -> None:
        self.hours += hours

    @rule(hours=st.integers(-3000, 3000))
    def the_clock_is_set(self, hours: int) -> None:
        self.ahead += hours

    @rule()
    def a_backup_is_made_and_seen(self) -> None:
        self.good = Good(f"{self.hours}-{self.ahead}", self.now().wall)
        self.watch = look(self.watch, "s3://b", self.good, self.now())
        self.true_age_began = self.hours

    @rule()
    def the_agent_looks(self) -> None:
        self.watch = look(Watch.from_json(self.watch.to_json()), "s3://b", self.good, self.now())

    @invariant()
    def the_age_is_true(self) -> None:
        found = age(self.watch, self.now())
        assert found is not None
        assert abs(found - (self.hours - self.true_age_began) * HOUR) < 1e-3


TestOneBoot = OneBoot.TestCase
TestOneBoot.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
