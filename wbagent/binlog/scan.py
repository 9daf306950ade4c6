"""What a binary log file holds up to an offset: which transactions are complete there, of what times, and what follows.

Invariant: `executed` names a transaction only when its last byte lies before `end`; one that is half there is `open`.
So a restore that ends with this piece never knows of a transaction that it could not apply.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wbagent.binlog.bodies import next_file, previous_gtids, statement, transaction
from wbagent.binlog.events import Event, Kind
from wbagent.binlog.gtid import Gtid, GtidSet
from wbagent.errors import DatabaseError


@dataclass(frozen=True, slots=True)
class Open:
    """A transaction whose end has not been seen; `ends_at`: offset, or 0 when the server does not say."""

    gtid: Gtid
    ends_at: int
    committed_at: int
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """The state at offset `end`. Times are of commits, in microseconds since the epoch, 0 when there was none."""

    end: int = 0
    created: int = 0
    previous: GtidSet = field(default_factory=GtidSet)
    executed: GtidSet = field(default_factory=GtidSet)
    open: Open | None = None
    first_at: int = 0
    last_at: int = 0
    next_file: str = ""

    @property
    def gtids(self) -> GtidSet:
        """The transactions that are complete in the file."""
        return self.executed - self.previous

    def after(self, unlogged: GtidSet) -> Mark:
        """The same file of a server that had executed these as well before it, though its head does not say so."""
        return replace(self, previous=self.previous | unlogged, executed=self.executed | unlogged)

    @property
    def closed(self) -> bool:
        """Whether the server has gone on to another file."""
        return bool(self.next_file)


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction that is complete."""

    gtid: Gtid
    committed_at: int


def advance(mark: Mark, event: Event) -> tuple[Mark, Done | None]:
    """Take one event; the transaction that it completes, if any. Raises MisreadError, DatabaseError."""
    match event.kind:
        case Kind.FORMAT_DESCRIPTION:
            return replace(mark, end=max(event.end, mark.end), created=event.timestamp), None
        case Kind.PREVIOUS_GTIDS:
            previous = previous_gtids(event.body)
            return replace(mark, end=event.end, previous=previous, executed=previous), None
        case Kind.ANONYMOUS_GTID:
            raise DatabaseError(
                "the binary log holds a transaction without a GTID", hint="gtid_mode must be ON: see wbagent.toml(5)"
            )
        case Kind.GTID | Kind.GTID_TAGGED:
            # A server that does not say how long transactions are shows the end of one by the beginning of the next.
            mark, done = _completed(mark) if mark.open else (mark, None)
            found = transaction(event.kind, event.body)
            ends_at = event.start + found.length if found.length else 0
            return replace(mark, end=event.end, open=Open(found.gtid, ends_at, found.committed_at)), done
    if mark.open is not None and _ends(mark.open, event):
        mark, done = _completed(mark)
        return replace(mark, end=event.end), done
    if mark.open is not None and event.kind == Kind.QUERY:
        mark = replace(mark, open=replace(mark.open, begun=True))
    name = next_file(event.body) if event.kind == Kind.ROTATE else mark.next_file
    return replace(mark, end=event.end, next_file=name), None


def _ends(begun: Open, event: Event) -> bool:
    if begun.ends_at:
        return event.end >= begun.ends_at
    if event.kind == Kind.QUERY:
        # Without BEGIN before it, a statement is a transaction of its own.
        text = statement(event.body).text.upper()
        return text in {"COMMIT", "ROLLBACK"} or (not begun.begun and text != "BEGIN")
    return event.kind in {Kind.XID, Kind.ROTATE, Kind.STOP}


def _completed(mark: Mark) -> tuple[Mark, Done | None]:
    if mark.open is None:
        return mark, None
    at = mark.open.committed_at
    after = replace(
        mark,
        open=None,
        executed=mark.executed.with_one(mark.open.gtid),
        first_at=mark.first_at or at,
        last_at=at or mark.last_at,
    )
    return after, Done(mark.open.gtid, at)
