"""Reads all that will be applied before anything is touched: nothing of it is damaged, and no statement does harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wbagent.backup.progress import Meter
from wbagent.binlog.bodies import statements
from wbagent.binlog.events import Event
from wbagent.binlog.gtid import Gtid, GtidSet
from wbagent.binlog.scan import Done, Mark, Open, advance
from wbagent.errors import RestoreError
from wbagent.restore.history import Step, gtids_of
from wbagent.restore.statements import Scope, judge
from wbagent.restore.until import show


@dataclass(frozen=True, slots=True)
class Survey:
    """What the binary logs of a way hold: transactions to apply, the last of them, and what is left out of them."""

    count: int
    last: Done | None
    left_out: GtidSet
    ends: tuple[int, ...]


def survey(steps: Iterable[tuple[Step, Iterable[Event]]], scope: Scope | None, meter: Meter) -> Survey:
    """Read the steps, each with the events of its file; `scope`: None when everything is to be applied as it is.

    Raises RestoreError for what cannot be applied, and whatever reading raises.
    """
    left_out: list[Done] = []
    count, last, ends = 0, None, []
    for step, events in steps:
        mark, end, left = Mark(), 0, len(step.gtids)
        for event in events:
            meter.add(len(event.data))
            if scope is not None and mark.open is not None and mark.open.gtid in step.gtids:
                left_out += _left_out(event, mark.open, scope)
            mark, done = advance(mark, event)
            if done is not None and done.gtid in step.gtids:
                count, last, end, left = count + 1, done, event.end, left - 1
                if not left:
                    # What is damaged behind it is not asked for.
                    break
        ends.append(end)
    meter.done()
    without = gtids_of(left_out)
    return Survey(count - len(without), last, without, tuple(ends))


def _left_out(event: Event, running: Open, scope: Scope) -> Iterator[Done]:
    """The running transaction, if a statement in this event is not to be applied; RestoreError if neither is right."""
    for each in statements(event):
        verdict = judge(each, scope)
        if verdict.refusal:
            raise _refused(verdict.refusal, running.gtid, running.committed_at)
        if not verdict.apply:
            yield Done(running.gtid, running.committed_at)


def _refused(reason: str, gtid: Gtid, committed_at: int) -> RestoreError:
    return RestoreError(
        f"the transaction {gtid}, of {show(committed_at)}, cannot be applied here: {reason}; nothing was touched",
        hint=f"restore to before it (--before-gtid {gtid}), or into a database of the original name on another server",
    )
