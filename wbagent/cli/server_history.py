"""How `wbagent server history` is shown: lines for people, one record with all its evidence, or JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from wbagent.quantities import format_duration
from wbagent.server.diagnosis import diagnose
from wbagent.server.history import Reason, Record
from wbagent.server.outages import Outage, outage_of, outages, unready_seconds
from wbagent.systemd.journal_lines import newest_lines

_LINES: Final = 50


def lines(records: Sequence[Record], last: int, now: float, *, verbose: bool) -> Iterator[str]:
    """The newest `last` records, oldest first, each numbered from the newest, which is 1."""
    told = outages(records)
    for index in range(max(0, len(records) - last), len(records)):
        yield from _record(records, index, told, now, verbose=verbose)


def one(records: Sequence[Record], number: int, now: float) -> Iterator[str]:
    """The record of that number with all its evidence."""
    return _record(records, len(records) - number, outages(records), now, verbose=True)


def document(records: Sequence[Record], last: int, now: float) -> list[dict[str, Any]]:
    """For programs: the newest `last` records, oldest first, with known cause and outage."""
    told = outages(records)
    return [_as_json(records, index, told, now) for index in range(max(0, len(records) - last), len(records))]


def _record(
    records: Sequence[Record], index: int, told: Sequence[Outage], now: float, *, verbose: bool
) -> Iterator[str]:
    record = records[index]
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.at))
    yield f"{len(records) - index:>4}  {when}  {record.reason:<21}  {record.detail}"
    indent = " " * 8
    length = _unready_length(records, index, now) if record.of_one_run else _length(index, outage_of(index, told), now)
    if length:
        yield indent + length
    if record.reason is not Reason.READY and (known := diagnose([record.detail, *record.log])):
        yield f"{indent}cause: {known.cause}"
        yield f"{indent}to do: {known.remedy}"
    if not verbose:
        return
    evidence = {
        "exit status": record.exit_code,
        "out of memory": "yes" if record.oom_killed else None,
        "last probe": record.probe,
        "image": record.image,
        "container": record.container,
        "served for": format_duration(record.seconds) if _served(record) else "",
        "systemd's run": record.invocation,
    }
    yield from (f"{indent}{name}: {value}" for name, value in evidence.items() if value not in {None, ""})
    yield from (f"{indent}| {line}" for line in _log(record))


def _log(record: Record) -> tuple[str, ...]:
    """The container's last lines; where Docker could not tell them any more (gone, or removed by hand) the journal can.

    Docker's journald driver writes the short id of the container to each line (CONTAINER_ID).
    """
    if record.log or not record.container or record.reason is Reason.READY:
        return record.log
    return newest_lines(f"CONTAINER_ID={record.container}", count=_LINES)


def _served(record: Record) -> bool:
    return record.reason is not Reason.READY and not record.of_one_run and record.seconds > 0


def _unready_length(records: Sequence[Record], index: int, now: float) -> str:
    seconds = unready_seconds(records, index, now)
    if seconds is None:
        return ""
    lasts = index + 1 == len(records)
    return f"alive but not ready {'since then, ' if lasts else ''}for {format_duration(seconds)}; not restarted for it"


def _length(index: int, outage: Outage | None, now: float) -> str:
    if outage is None:
        return ""
    seconds = outage.seconds(now)
    span = "for an unknown time: the clock was set back" if seconds is None else f"for {format_duration(seconds)}"
    bound = " at least" if outage.at_least and seconds is not None else ""
    if index != outage.first:
        ended = index == outage.until and not outage.served_on
        return f"ended an outage of {span.removeprefix('for ')}{bound}" if ended else ""
    if outage.served_on:
        return "served on meanwhile: the next runner adopted the container"
    tries = f", {outage.ends} ends in a row" if outage.ends > 1 else ""
    if outage.over is None:
        return f"{'stopped' if outage.asked else 'down'} since then, {span}{bound}{tries}"
    return f"not serving {span}{bound}{tries}"


def _as_json(records: Sequence[Record], index: int, told: Sequence[Outage], now: float) -> dict[str, Any]:
    record = records[index]
    outage = None if record.of_one_run else outage_of(index, told)
    known = diagnose([record.detail, *record.log]) if record.reason is not Reason.READY else None
    return {
        "number": len(records) - index,
        **asdict(record),
        "log": list(_log(record)),
        "known": asdict(known) if known else None,
        "unready_seconds": unready_seconds(records, index, now),
        "outage": {
            "began": outage.began,
            "over": outage.over,
            "seconds": outage.seconds(now),
            "at_least": outage.at_least,
            "ends": outage.ends,
            "asked": outage.asked,
            "served_on": outage.served_on,
        }
        if outage
        else None,
    }
