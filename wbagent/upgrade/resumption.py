"""What a run of the command does with an upgrade that was interrupted, or is to be undone: a pure function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from wbagent.moment import Moment
from wbagent.upgrade.plan import Outcome, Step, Upgrade

# A second run that comes later than this makes another backup before it replaces the server.
BACKUP_FRESH_S: Final = 900.0


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
    # What an earlier run failed at is in the account; this one has not failed.
    back = replace(last, outcome=None, undo_asked=True, restore_database=restore, failure="")
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
    if last.outcome is Outcome.UNDONE and last.restored:
        return Refused(
            f"this was undone already, the database included (backup {last.backup}): {names}",
            f"to put the database back once more: wbagent restore {last.backup} --into DSN",
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
