"""An upgrade interrupted before, in and after every step, then run again or undone, in a small world of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings, strategies

from wbagent.moment import Moment
from wbagent.upgrade.plan import Done, Failed, Outcome, Step, Upgrade, after
from wbagent.upgrade.resumption import BACKUP_FRESH_S, Facts, Refused, Wish, resume

OLD, NEW = "wandb/local:0.83.0", "wandb/local:0.84.0"
BACK = Wish(undo=True)


@dataclass
class World:
    """What an upgrade changes. `database` is what it was migrated to, "torn", or "" when dropped."""

    new_works: bool = True
    configured: str = OLD
    running: str | None = OLD
    images: set[str] = field(default_factory=lambda: {OLD})
    database: str = OLD
    backups: list[str] = field(default_factory=list)
    stored: Upgrade | None = None
    clock: float = 0.0
    log: list[str] = field(default_factory=list)

    def now(self) -> Moment:
        return Moment(self.clock, self.clock, "boot")

    def facts(self) -> Facts:
        return Facts(self.configured, self.running is not None)

    def start(self, image: str) -> bool:
        """As the runner does: refused while the database is torn; a new one migrates what it finds."""
        if self.stored is not None and self.stored.torn:
            self.running = None
            return False
        assert image in self.images, "the image that is named must be here"
        assert self.database not in {"", "torn"}, "no server may meet a database that is not whole"
        if image == NEW:
            self.database = NEW
        self.running = image if image == OLD or self.new_works else None
        return self.running is not None

    def reboot(self) -> None:
        """systemd starts what the configuration names."""
        self.running = None
        self.start(self.configured)


class KilledError(Exception):
    """The unit was killed at this point."""


def acts(world: World, upgrade: Upgrade) -> Iterator[Done | Failed | None]:
    """One step, cut at each point where a kill makes a difference; the last thing yielded is its result."""
    match upgrade.step:
        case Step.FETCH:
            yield None
            world.images.add(NEW)
            yield None
            yield Done()
        case Step.BACKUP:
            yield None
            world.backups.append(world.database)
            yield None
            yield Done(str(len(world.backups) - 1))
        case Step.REPLACE | Step.PUT_BACK:
            yield None
            world.configured = NEW if upgrade.step is Step.REPLACE else OLD
            yield None
            yield Done()
        case Step.START | Step.START_OLD:
            wanted = NEW if upgrade.step is Step.START else OLD
            if world.running != wanted:
                world.running = None
                yield None
                world.start(wanted)
            yield None
            yield Done() if world.running == wanted else Failed("did not get ready")
        case Step.STOP:
            yield None
            world.running = None
            yield None
            yield Done()
        case Step.RESTORE:
            world.running = None
            yield None
            world.stored = replace(upgrade, torn=True)
            yield None
            world.database = ""
            yield None
            world.database = "torn"
            yield None
            world.database = world.backups[int(upgrade.backup)]
            yield None
            yield Done()


def unit(world: World, killed_at: Callable[[], bool]) -> None:
    """The unit's loop, as job.py has it."""
    upgrade = world.stored
    assert upgrade is not None
    while upgrade.outcome is None:
        world.stored = upgrade
        world.log.append(str(upgrade.step))
        result: Done | Failed | None = None
        for act in acts(world, upgrade):
            result = act
            assert world.configured in {OLD, NEW}
            assert world.configured in world.images
            if killed_at():
                raise KilledError
        assert result is not None
        upgrade = after(replace(upgrade, torn=world.stored.torn), result, world.now())
    world.stored = upgrade


def command(world: World, wish: Wish) -> Refused | None:
    """The command: what it stores for the unit."""
    found = resume(world.stored, wish, world.facts(), world.now())
    if isinstance(found, Refused):
        return found
    if found is None and (world.configured == wish.new or world.running is None):
        return Refused("there is nothing to do, or the server does not serve", "")
    world.stored = found or Upgrade(world.configured, wish.new, restore_database=wish.restore_database)
    return None


def at(point: int) -> Callable[[], bool]:
    """A kill at the `point`-th opportunity."""
    left = [point]

    def killed() -> bool:
        left[0] -= 1
        return left[0] < 0

    return killed


def never() -> bool:
    return False


def run_killed(world: World, wish: Wish, point: int) -> bool:
    """Whether it was killed before it came to its end."""
    assert command(world, wish) is None
    try:
        unit(world, at(point))
    except KilledError:
        return True
    return False


POINTS = range(40)
DAY = 86400.0


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("later", [1.0, DAY])
def test_a_second_run_completes(point: int, reboot: bool, later: float) -> None:
    world = World()
    killed = run_killed(world, Wish(NEW), point)
    world.clock += later
    if killed:
        if reboot:
            world.reboot()
        assert command(world, Wish(NEW)) is None
        unit(world, never)
    assert world.stored
    assert (world.stored.outcome, world.configured, world.running) == (Outcome.UPGRADED, NEW, NEW)
    assert world.backups[int(world.stored.backup)] == OLD, "the backup is of the database before the new one"


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("works", [False, True])
def test_undo_after_any_interruption(point: int, reboot: bool, restore: bool, works: bool) -> None:
    world = World(new_works=works)
    killed = run_killed(world, Wish(NEW, restore_database=restore), point)
    if killed and reboot:
        world.reboot()
    refused = command(world, BACK)
    if refused is None and world.stored and world.stored.outcome is None:
        unit(world, never)
    assert world.stored
    if not world.running:
        assert killed
        world.start(world.configured)
    assert (world.configured, world.running) == (OLD, OLD)
    if restore and not (refused is None and not killed and works):
        # (What was upgraded well and then undone is restored only when the undoing asks for it.)
        assert world.database == OLD


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("second", [Wish(NEW), BACK, Wish(undo=True, restore_database=True)])
@pytest.mark.parametrize("reboot", [False, True])
def test_a_way_back_that_is_interrupted_goes_on_back(point: int, second: Wish, reboot: bool) -> None:
    world = World(new_works=False)
    killed = run_killed(world, Wish(NEW, restore_database=True), point)
    going_back = killed and world.stored is not None and world.stored.going_back
    if not going_back:
        return
    if reboot:
        world.reboot()
    assert command(world, second) is None
    begun = len(world.log)
    unit(world, never)
    assert str(Step.START) not in world.log[begun:], "the new server is not tried again"
    assert world.stored
    assert (world.stored.outcome, world.running, world.database) == (Outcome.UNDONE, OLD, OLD)


INTERRUPTIONS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(
            [Wish(NEW), Wish(NEW, restore_database=True), BACK, replace(BACK, restore_database=True)]
        ),
        strategies.integers(0, 12),
        strategies.booleans(),
        strategies.sampled_from([1.0, DAY]),
    ),
    max_size=8,
)


@settings(max_examples=1000)
@given(works=strategies.booleans(), story=INTERRUPTIONS, last=strategies.sampled_from([Wish(NEW), BACK]))
def test_whatever_is_asked_and_interrupted_in_whatever_order(
    works: bool, story: list[tuple[Wish, int, bool, float]], last: Wish
) -> None:
    world = World(new_works=works)
    for wish, point, reboot, later in story:
        if command(world, wish) is None and world.stored and world.stored.outcome is None:
            with suppress(KilledError):
                unit(world, at(point))
        if reboot:
            world.reboot()
        world.clock += later
    if command(world, last) is None and world.stored and world.stored.outcome is None:
        unit(world, never)
    # (What asserts in World and in the unit's loop held all the time.)
    if world.stored is not None:
        assert world.stored.outcome in {Outcome.UPGRADED, Outcome.UNDONE, Outcome.UNCHANGED}
        assert not world.stored.torn
        assert world.database in {OLD, NEW}
        if world.running is None:
            world.reboot()
        assert world.running == world.configured == (NEW if world.stored.outcome is Outcome.UPGRADED else OLD)


def test_killed_again_and_again_it_gets_there() -> None:
    world = World(new_works=False)
    for point in (1, 3, 2, 1, 4, 2, 3, 1, 5, 2, 7, 3):
        if world.stored is None or world.stored.outcome is None:
            run_killed(world, Wish(NEW, restore_database=True), point)
    while world.stored is not None and world.stored.outcome is None:
        assert command(world, Wish(NEW)) is None
        unit(world, never)
    assert (world.configured, world.running, world.database) == (OLD, OLD, OLD)


def test_what_fails_before_the_server_is_touched_changes_nothing() -> None:
    for step in (Step.FETCH, Step.BACKUP):
        ended = after(Upgrade(OLD, NEW, step), Failed("no room"), World().now())
        assert (ended.outcome, ended.failure) == (Outcome.UNCHANGED, "no room")


def test_a_file_that_cannot_be_written_restores_no_database() -> None:
    back = after(Upgrade(OLD, NEW, Step.REPLACE, restore_database=True, backup="0"), Failed("read-only"), World().now())
    assert (back.step, back.restore_database) == (Step.PUT_BACK, False)


def test_a_restore_that_touched_nothing_keeps_no_server_down() -> None:
    restoring = Upgrade(OLD, NEW, Step.RESTORE, restore_database=True, backup="0")
    assert after(restoring, Failed("the checksum differs"), World().now()).step is Step.START_OLD
    torn = after(replace(restoring, torn=True), Failed("the disk is full"), World().now())
    assert (torn.outcome, torn.step) == (Outcome.STUCK, Step.RESTORE)


def test_what_is_stuck_is_tried_again_unless_somebody_mended_it() -> None:
    now = World().now()
    stuck = Upgrade(OLD, NEW, Step.START_OLD, Outcome.STUCK, backup="0")
    again = resume(stuck, Wish(NEW), Facts(OLD, serving=False), now)
    assert isinstance(again, Upgrade)
    assert again.step is Step.START_OLD
    assert resume(stuck, Wish(NEW), Facts(OLD, serving=True), now) is None
    restored = resume(stuck, Wish(undo=True, restore_database=True), Facts(OLD, serving=False), now)
    assert isinstance(restored, Upgrade)
    assert restored.step is Step.STOP


def test_another_target_is_refused_while_one_is_unfinished() -> None:
    waiting = Upgrade(OLD, NEW, Step.START)
    refused = resume(waiting, Wish("wandb/local:0.85.0"), Facts(NEW, serving=False), World().now())
    assert isinstance(refused, Refused)
    assert NEW in refused.hint
    # Somebody has taken it into their own hands.
    assert resume(waiting, Wish("wandb/local:0.85.0"), Facts("own/image:1", serving=True), World().now()) is None


def test_an_old_backup_is_made_again_before_the_server_is_touched() -> None:
    now = World().now()
    ready = Upgrade(OLD, NEW, Step.REPLACE, backup="0", backup_made=now)
    soon, late = replace(now, boottime=BACKUP_FRESH_S), replace(now, boottime=BACKUP_FRESH_S + 1)
    steps = [resume(ready, Wish(NEW), Facts(OLD, serving=True), moment) for moment in (soon, late)]
    assert [found.step for found in steps if isinstance(found, Upgrade)] == [Step.REPLACE, Step.BACKUP]


def test_undo_after_success_and_twice() -> None:
    done = Upgrade(OLD, NEW, Step.START, Outcome.UPGRADED, backup="0")
    back = resume(done, BACK, Facts(NEW, serving=True), World().now())
    assert isinstance(back, Upgrade)
    assert (back.step, back.restore_database, back.undo_asked) == (Step.STOP, False, True)
    undone = replace(back, step=Step.START_OLD, outcome=Outcome.UNDONE)
    assert isinstance(resume(undone, BACK, Facts(OLD, serving=True), World().now()), Refused)
    restore = resume(undone, Wish(undo=True, restore_database=True), Facts(OLD, serving=True), World().now())
    assert isinstance(restore, Upgrade)
    assert restore.step is Step.STOP
    assert isinstance(resume(None, BACK, Facts(OLD, serving=True), World().now()), Refused)


def test_a_new_server_that_failed_is_stopped_first() -> None:
    # systemd would start it again and again, over what is put back.
    failed = after(Upgrade(OLD, NEW, Step.START, started=True), Failed("exited"), World().now())
    assert (failed.step, failed.failure) == (Step.STOP, "exited")


def test_a_database_that_was_put_back_is_not_put_back_again() -> None:
    """Somebody works with it by now: a second one would lose that."""
    now = World().now()
    done = Upgrade(OLD, NEW, Step.START_OLD, Outcome.UNDONE, backup="b", started=True, restored=True)
    again = resume(done, Wish(undo=True, restore_database=True), Facts(OLD, serving=True), now)
    assert isinstance(again, Refused)
    assert "the database included" in again.why
    # One that failed before and goes back anew has not failed yet.
    failed = replace(done, outcome=Outcome.UNDONE, restored=False, failure="the account may not")
    back = resume(failed, Wish(undo=True, restore_database=True), Facts(OLD, serving=True), now)
    assert isinstance(back, Upgrade)
    assert (back.step, back.failure) == (Step.STOP, "")


def test_a_database_that_the_new_server_never_met_is_not_restored() -> None:
    # What users wrote after the backup would be lost for nothing.
    written = Upgrade(OLD, NEW, Step.REPLACE, backup="0", restore_database=True)
    back = resume(written, replace(BACK, restore_database=True), Facts(OLD, serving=True), World().now())
    assert isinstance(back, Upgrade)
    assert (back.step, back.restore_database) == (Step.PUT_BACK, False)
