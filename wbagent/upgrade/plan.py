"""What an upgrade does next, after each step and after each interruption: pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from wbagent.moment import Moment

# A second run that comes later than this makes another backup before it replaces the server.
BACKUP_FRESH_S: Final = 900.0


class Step(StrEnum):
    """What is being done. Forward up to START; everything from STOP on goes back."""

    FETCH = "fetch the image"
    BACKUP = "back up the database"
    REPLACE = "write the new image into the configuration"
    START = "start the new server"
    STOP = "stop the server"
    PUT_BACK = "write the old image into the configuration"
    RESTORE = "restore the database"
    START_OLD = "start the old server"


class Outcome(StrEnum):
    """How it ended."""

    UPGRADED = "upgraded"
    UNCHANGED = "unchanged"
    UNDONE = "undone"
    STUCK = "stuck"


_BACK: Final = frozenset({Step.STOP, Step.PUT_BACK, Step.RESTORE, Step.START_OLD})
# From here on the server is not what it was: no backup may begin, and nobody is told of its ends.
_REPLACING: Final = _BACK | {Step.REPLACE, Step.START}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The whole state of one upgrade, as it is stored before each step.

    `step` is the one that is to be done, or was being done when this was interrupted. `started`: the new server may
    have run. `torn`: the database was dropped and is not yet whole again; `restored`: it is the backup's since the new
    server ended. `account` is what was done, each line with its wall-clock time; `evidence` the history's record of
    the new server's end.
    """

    old: str
    new: str
    step: Step = Step.FETCH
    outcome: Outcome | None = None
    file: str = ""
    with_backup: bool = True
    restore_database: bool = False
    undo_asked: bool = False
    backup: str = ""
    backup_made: Moment | None = None
    started: bool = False
    torn: bool = False
    restored: bool = False
    failure: str = ""
    account: tuple[tuple[float, str], ...] = ()
    evidence: dict[str, Any] | None = None

    @property
    def going_back(self) -> bool:
        """Whether this leads to the old image."""
        return self.step in _BACK

    @property
    def replacing(self) -> bool:
        """Whether the server is being replaced, forth or back, if a unit is at work."""
        return self.outcome is None and self.step in _REPLACING

    def noting(self, now: float, text: str) -> Self:
        """With one more line in the account."""
        return replace(self, account=(*self.account, (now, text)))


@dataclass(frozen=True, slots=True)
class Done:
    """A step went well; of BACKUP, `backup` is its id."""

    backup: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A step did not go well, and why, in a sentence."""

    why: str


def after(upgrade: Upgrade, result: Done | Failed, now: Moment) -> Upgrade:
    """The next step, or the outcome.

    Invariants: the configuration names the old image or the new one at every moment, and the new one only while it is
    on this host and (unless that was renounced) a proven backup of the old server's database exists. The database is
    replaced only when that was asked for, by that backup; once it is torn, no server is started before it is whole.
    What fails on the way there leads back; what fails on the way back stays where it is, so that a second run tries
    that step again (a restore that had to be refused before it touched anything keeps no server down).
    """
    if isinstance(result, Failed):
        return _after_failure(replace(upgrade, failure=upgrade.failure or result.why))
    if upgrade.step is Step.BACKUP:
        upgrade = replace(upgrade, backup=result.backup, backup_made=now)
    if upgrade.step is Step.RESTORE:
        upgrade = replace(upgrade, torn=False, restored=True)
    match _following(upgrade):
        case Outcome() as outcome:
            return replace(upgrade, outcome=outcome)
        case step:
            return replace(upgrade, step=step, started=upgrade.started or step is Step.START)


def _following(upgrade: Upgrade) -> Step | Outcome:
    restore = upgrade.restore_database and upgrade.backup
    ways: dict[Step, Step | Outcome] = {
        Step.FETCH: Step.BACKUP if upgrade.with_backup else Step.REPLACE,
        Step.BACKUP: Step.REPLACE,
        Step.REPLACE: Step.START,
        Step.START: Outcome.UPGRADED,
        Step.STOP: Step.PUT_BACK,
        Step.PUT_BACK: Step.RESTORE if restore else Step.START_OLD,
        Step.RESTORE: Step.START_OLD,
        Step.START_OLD: Outcome.UNDONE,
    }
    return ways[upgrade.step]


def _after_failure(upgrade: Upgrade) -> Upgrade:
    if upgrade.step is Step.RESTORE and not upgrade.torn:
        return replace(upgrade, step=Step.START_OLD)
    if upgrade.going_back:
        return replace(upgrade, outcome=Outcome.STUCK)
    match upgrade.step:
        case Step.REPLACE:
            # The old server still runs: only the file may have to be put back.
            return replace(upgrade, step=Step.PUT_BACK, restore_database=False)
        case Step.START:
            return replace(upgrade, step=Step.STOP)
        case _:
            return replace(upgrade, outcome=Outcome.UNCHANGED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command asks for: an upgrade to `new`, or (`undo`) the way back."""

    new: str = ""
    undo: bool = False
    file: str = ""
    with_backup: bool = True
    restore_database: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """The image that the configuration names at this moment, and whether the server's unit is active."""

    configured: str
    serving: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the wish cannot be granted, and what to do."""

    why: str
    hint: str


def resume(last: Upgrade | None, wish: Wish, facts: Facts, now: Moment) -> Upgrade | Refused | None:
    """What a run does with what the last one left; None: nothing is left of it, so a new upgrade may begin.

    Invariant: an upgrade that was interrupted at any point is completed or undone by this, never begun a second time
    beside itself, and one that was on its way back goes on back. A new server that may be migrating is not stopped
    for being found, and a backup of a database that the new server has touched never takes the place of the one
    before.
    """
    # A name that somebody else wrote there since ends our say in it, unless the database waits for us.
    ours = last is not None and (facts.configured in {last.old, last.new} or last.torn)
    if wish.undo:
        if last is None or not ours:
            return Refused(
                f"there is no upgrade to undo: the configuration names {facts.configured}", "wbagent server upgrade TAG"
            )
        return _undo(last, wish, facts)
    if last is None or not ours or not _unfinished(last, facts):
        return None
    if wish.new != last.new:
        return Refused(
            f'an upgrade from {last.old} to {last.new} was interrupted at "{last.step}"',
            f"complete it: wbagent server upgrade {last.new}; or go back: wbagent server upgrade --undo",
        )
    # Options of this run count where they can still be heeded.
    restore = last.restore_database or wish.restore_database
    return _going_on(replace(last, outcome=None, restore_database=restore, file=wish.file or last.file), facts, now)


def _going_on(last: Upgrade, facts: Facts, now: Moment) -> Upgrade:
    if last.step is Step.REPLACE and facts.configured == last.new:
        return replace(last, step=Step.START, started=True)
    if last.step is Step.REPLACE and not _fresh(last, now):
        return replace(last, step=Step.BACKUP)
    return last


def _undo(last: Upgrade, wish: Wish, facts: Facts) -> Upgrade | Refused:
    unfinished = last.outcome in {None, Outcome.STUCK}
    restore = wish.restore_database or (last.restore_database and unfinished)
    if refused := _why_not_undone(last, facts, restore=restore, asked=wish.restore_database):
        return refused
    back = replace(last, outcome=None, undo_asked=True, restore_database=restore)
    if last.outcome is None and last.step in {Step.FETCH, Step.BACKUP}:
        return replace(back, outcome=Outcome.UNCHANGED)
    if last.outcome is None and last.step is Step.REPLACE and facts.configured == last.old:
        # The file was not written yet: the new server has never run, and the database is the old one's.
        return replace(back, step=Step.PUT_BACK, restore_database=False)
    if unfinished and last.step in {Step.PUT_BACK, Step.RESTORE}:
        return back
    if unfinished and last.step is Step.START_OLD and not wish.restore_database:
        return back
    # Either server may have run by now: it is stopped before the database is touched.
    return replace(back, step=Step.STOP, started=True)


def _why_not_undone(last: Upgrade, facts: Facts, *, restore: bool, asked: bool) -> Refused | None:
    names = f"the configuration names {facts.configured}"
    if last.outcome is Outcome.UNCHANGED:
        return Refused(f"nothing was changed: {names}", "wbagent status")
    if last.outcome is Outcome.UNDONE and not asked:
        return Refused(
            f"this was undone already: {names}",
            "to put the database back as well: wbagent server upgrade --undo --restore-database",
        )
    if restore and not last.backup and last.step not in {Step.FETCH, Step.BACKUP}:
        return Refused(
            "there is no backup of this upgrade to restore", "wbagent backup list; wbagent server upgrade --undo"
        )
    return None


def _unfinished(last: Upgrade, facts: Facts) -> bool:
    if last.outcome is None:
        return True
    # Somebody has mended what it was stuck at.
    return last.outcome is Outcome.STUCK and (last.torn or not facts.serving)


def _fresh(last: Upgrade, now: Moment) -> bool:
    if not last.with_backup:
        return True
    elapsed = now.since(last.backup_made) if last.backup_made else None
    return elapsed is not None and elapsed <= BACKUP_FRESH_S
