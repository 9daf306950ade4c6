"""What an upgrade does next after each step: a pure function of the state that is stored before each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from wbagent.moment import Moment


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
