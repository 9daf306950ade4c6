"""How long users were without the server: a pure function over the history's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from wbagent.server.history import Reason, Record


@dataclass(frozen=True, slots=True)
class Outage:
    """The time from the end at `first` (an index into the records) to the start at `until`, None while still down.

    `ends` counts the ends within: more than one when starts failed. `asked`: a person or a shutdown stopped it first.
    """

    first: int
    began: float
    until: int | None = None
    over: float | None = None
    ends: int = 1
    asked: bool = False
    at_least: bool = False
    served_on: bool = False

    def seconds(self, now: float) -> float | None:
        """Its length up to `now` (wall clock) at most; None when the clock was set back in between."""
        if self.served_on:
            return 0.0
        length = (now if self.over is None else self.over) - self.began
        return length if length >= 0 else None


def outages(records: Iterable[Record]) -> tuple[Outage, ...]:
    """The outages that the records (oldest first) tell.

    Invariant: outages are in order and never overlap; each end belongs to exactly one, and each is over with the first
    READY after it, so a crash loop, or a reboot in the middle of one, is one outage. Only the last can be open. When
    the same container is READY again (a new runner adopted it), users noticed nothing: it lasted 0 s. An end that was
    only noticed at the next start began earlier than its record says: then the length is a lower bound. Lost readiness
    is none: the server goes on and answers what it can.
    """
    found: list[Outage] = []
    container = ""
    for index, record in enumerate(records):
        if record.of_one_run:
            continue
        down = bool(found) and found[-1].over is None
        if record.reason is Reason.READY:
            if down:
                same = bool(container) and record.container == container
                found[-1] = replace(found[-1], until=index, over=record.at, served_on=same)
            container = record.container
        elif down:
            found[-1] = replace(found[-1], ends=found[-1].ends + 1)
        else:
            asked = record.reason is Reason.STOPPED
            found.append(Outage(index, record.at, asked=asked, at_least=record.noticed_late))
    return tuple(found)


def unready_seconds(records: Sequence[Record], index: int, now: float) -> float | None:
    """How long readiness was lost that the record at `index` tells, up to `now`; None when it tells no such thing.

    It is over with whatever is recorded next: that it is back, or the container's end.
    """
    if records[index].reason is not Reason.UNREADY:
        return None
    over = records[index + 1].at if index + 1 < len(records) else now
    return records[index].seconds + max(over - records[index].at, 0.0)


def outage_of(index: int, among: Iterable[Outage]) -> Outage | None:
    """The outage that the record at `index` begins, prolongs or ends."""
    return next((one for one in among if one.first <= index and (one.until is None or index <= one.until)), None)
