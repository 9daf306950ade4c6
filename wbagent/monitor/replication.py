"""How far a replica is behind, told by what the primary had done at each look: no row is written for it.

The heartbeat is the primary's own set of transactions (gtid_executed), noted with the time at each look. The replica is
behind by the age of the oldest note that it does not hold in full. So the lag goes on growing while replication stands
still, which MySQL's Seconds_Behind_Source does not, and is 0 when an idle primary has nothing to send.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pymysql
from pymysql.constants import ER
from pymysql.cursors import DictCursor

from wbagent.config.dsn import MysqlURL
from wbagent.database.connection import rows, session
from wbagent.moment import Moment

_ANSWER_WITHIN_S: Final = 10.0
# Notes are thinned to these distances, so that days of standstill need no more than some hundred of them.
_MOST_NOTES: Final = 240


@dataclass(frozen=True, slots=True)
class Note:
    """What the primary had done at a moment."""

    at: Moment
    executed: str


@dataclass(frozen=True, slots=True)
class Lag:
    """The notes that the replica does not hold yet, oldest first, and whether there is any older than the first look.

    Invariant: `seconds` is never more than the true lag, nor less than it by more than the time between two looks; it
    is None as long as the first note of all is still missing, when the true lag may be longer than the agent knows.
    """

    missing: tuple[Note, ...] = ()
    caught_up_once: bool = False

    def notes(self, note: Note) -> tuple[Note, ...]:
        """What to ask the replica for, oldest first: what it lacked, and a new note if the primary went on since."""
        idle = bool(self.missing) and self.missing[-1].executed == note.executed
        return self.missing if idle else (*self.missing, note)

    def then(self, note: Note, held: int) -> Lag:
        """After a look at both: the replica holds the `held` oldest of `notes(note)`."""
        return Lag(_thinned(self.notes(note)[held:]), self.caught_up_once or held > 0)

    def seconds(self, now: Moment) -> float | None:
        """How long ago the primary did the oldest of what the replica lacks."""
        if not self.missing:
            return 0.0
        return now.since(self.missing[0].at) if self.caught_up_once else None

    def at_least(self, now: Moment) -> float:
        """Where it is not known: the time that the agent has seen it lack something."""
        return (now.since(self.missing[0].at) or 0.0) if self.missing else 0.0


def _thinned(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Every second one of the middle goes when there are too many: the oldest says the lag, the rest how it shrinks."""
    if len(notes) <= _MOST_NOTES:
        return notes
    return (*notes[0:1], *notes[1:-1:2], *notes[-1:])


@dataclass(frozen=True, slots=True)
class Threads:
    """What a replica says of its replication. `stopped` names what does not run, "" for nothing; `why` its error."""

    stopped: str
    why: str


@dataclass(frozen=True, slots=True)
class Primary:
    """One look at the primary. `executed` is None without gtid_mode; `goes_on`: it holds all that was noted before."""

    executed: str | None
    goes_on: bool


def read_primary(url: MysqlURL, lag: Lag) -> Primary:
    """Ask the primary for its set of transactions. Raises DatabaseError."""
    newest = lag.missing[-1].executed if lag.missing else ""
    with session(url, database="", read_timeout=_ANSWER_WITHIN_S) as connection:
        ((mode, executed, goes_on),) = rows(
            connection,
            "SELECT @@GLOBAL.gtid_mode, @@GLOBAL.gtid_executed, GTID_SUBSET(%s, @@GLOBAL.gtid_executed)",
            newest,
        )
    return Primary(str(executed).replace("\n", "") if str(mode) == "ON" else None, bool(goes_on))


@dataclass(frozen=True, slots=True)
class Standby:
    """One look at the replica: how many of the notes it holds, and its threads (None: it may not be asked)."""

    held: int
    threads: Threads | None


def read_standby(url: MysqlURL, notes: tuple[Note, ...]) -> Standby:
    """Ask the replica. Raises DatabaseError."""
    with session(url, database="", read_timeout=_ANSWER_WITHIN_S) as connection:
        held = 0
        for note in notes:
            ((holds,),) = rows(connection, "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", note.executed)
            if not holds:
                break
            held += 1
        try:
            with connection.cursor(DictCursor) as cursor:
                _show_status(cursor)
                status: dict[str, Any] | None = cursor.fetchone()
        except pymysql.MySQLError as error:
            if error.args[0] != ER.SPECIFIC_ACCESS_DENIED_ERROR:
                raise
            return Standby(held, None)
    return Standby(held, threads_of(status))


def _show_status(cursor: DictCursor) -> None:
    try:
        cursor.execute("SHOW REPLICA STATUS")
    except pymysql.err.ProgrammingError as error:
        # MySQL before 8.0.22 knows the old name only.
        if error.args[0] != ER.PARSE_ERROR:
            raise
        cursor.execute("SHOW SLAVE STATUS")


def threads_of(status: dict[str, Any] | None) -> Threads:
    """What a row of SHOW REPLICA STATUS means; None is a server that replicates from nobody."""
    if not status:
        return Threads("replica", "")
    named = {name.replace("Slave_", "Replica_"): value for name, value in status.items()}
    if named["Replica_SQL_Running"] != "Yes":
        # Of several workers MySQL wraps what matters into a sentence before and one behind.
        why = str(named.get("Last_SQL_Error") or "").partition("The most recent failure being: ")
        return Threads("applier", (why[2] or why[0]).partition(" See error log")[0])
    if named["Replica_IO_Running"] != "Yes":
        return Threads("receiver", str(named.get("Last_IO_Error") or ""))
    return Threads("", "")
