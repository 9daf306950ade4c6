"""What backups and drills leave in the state file, for those who tell of it: alerts, status, metrics, retention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from wbagent.errors import StateError
from wbagent.monitor.freshness import Good
from wbagent.state import State
from wbagent.systemd import journal

if TYPE_CHECKING:
    # pydantic: `wbagent status` does without.
    from wbagent.config.model import BackupSettings

LAST: Final = "backup.last"
LAST_FAILURE: Final = "backup.last_failure"
# When a backup last found a database that the server has not filled yet: that was no attempt, and no failure.
NOT_YET: Final = "backup.not_yet"
# The last drill, however it ended.
DRILL: Final = "drill.last"
# The newest backup that a drill has proven; its `finished_at` is the age that counts.
PROVEN: Final = "drill.proven"
# Noted by who starts a backup that it may have to load back itself: a clone would take a mysqld of its own for that.
LOADABLE: Final = "backup.loadable"

_Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """The values of these facts, {} for one that was never written; times are seconds since the epoch.

    `failed`, `drilled`: when the newest failure and the newest drill were noted, 0 for never.
    """

    last: _Value
    failure: _Value
    drill: _Value
    proven: _Value
    failed: float = 0.0
    drilled: float = 0.0

    @classmethod
    def read(cls, state: State) -> Self:
        """As they stand in the state file. Raises StateError."""
        last, failure, drill, proven = (state.get(name) for name in (LAST, LAST_FAILURE, DRILL, PROVEN))
        return cls(
            last.value if last else {},
            failure.value if failure else {},
            drill.value if drill else {},
            proven.value if proven else {},
            failure.at if failure else 0.0,
            drill.at if drill else 0.0,
        )

    def good(self, backup: BackupSettings) -> Good | None:
        """The newest backup that counts: proven, or where no drill can be made committed; None when there is none."""
        found = self.last if why_unproven_count(backup, self.drill) else self.proven
        if not found or found.get("owner") != backup.owner:
            return None
        return Good(str(found["id"]), float(found["finished_at"]))


def why_unproven_count(backup: BackupSettings, drill: _Value) -> str:
    """Why backups count that no drill has proven, "" where only proven ones do; `drill`: the newest drill's fact.

    A drill that fails, or could not be made this time, is no reason: then nothing new counts until one succeeds.
    """
    if not backup.drill.enabled:
        return "drills are switched off: [backup.drill] enabled = false"
    if drill.get("result") == "no mysqld":
        return f"no drill can be made on this host: {drill.get('reason', '')}"
    return ""


def waits(state: State) -> bool:
    """Whether the newest word about a backup is that there is nothing to back up yet. Raises StateError."""
    waiting = state.get(NOT_YET)
    return waiting is not None and all(
        fact is None or fact.at < waiting.at for fact in (state.get(LAST), state.get(LAST_FAILURE))
    )


def note(state: State, key: str, value: Any, now: float) -> None:
    """Write a fact; that it cannot be noted (a full disk) neither undoes what was done nor hides what was not."""
    try:
        state.put(key, value, now)
    except StateError as error:
        what, _, _ = key.partition(".")
        journal.send(f"the result of the {what} cannot be noted: {error.message}; {error.hint}", level="warning")
