"""Shows which moments can be restored, and which cannot: for `wbagent binlog status` and `wbagent backup list`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wbagent.errors import AccessError, StateError, WbagentError
from wbagent.state import State

if TYPE_CHECKING:
    from wbagent.binlog.lag import Report
    from wbagent.bucket.store import Store
    from wbagent.restore.history import Known
    from wbagent.restore.moments import Moments


def own_report(owner: str) -> Report | None:
    """What the unit of this host noted last, where the binary logs are its own and the caller may read that."""
    from wbagent.backup.binlogs import last_report  # noqa: PLC0415 - boto3, PyMySQL and zstd

    try:
        with State(read_only=True) as state:
            report = last_report(state)
    except (AccessError, StateError):
        return None
    return report if report and report.owner == owner else None


def known(owner: str) -> Known:
    """What this host knows of the binary logs of `owner` that it stores; nothing where they are not its own."""
    from wbagent.restore.history import NOTHING_KNOWN, Known  # noqa: PLC0415 - as above

    report = own_report(owner)
    return Known.of(report) if report else NOTHING_KNOWN


def moments_or_why(store: Store, owner: str) -> tuple[Moments | None, str]:
    """The moments, or why they cannot be read: a damaged record of binary logs hides no backup."""
    from wbagent.restore.moments import read_moments  # noqa: PLC0415 - as above

    try:
        return read_moments(store, owner, known(owner)), ""
    except WbagentError as error:
        return None, error.message


def moment_lines(moments: Moments) -> Iterator[str]:
    """One sentence a span, and one for each gap between two."""
    from wbagent.restore.point_in_time import STORE_AGAIN  # noqa: PLC0415 - as above
    from wbagent.restore.until import show  # noqa: PLC0415

    before = 0
    for span in moments.windows:
        if before and before < span.start:
            lost = f"; {len(span.missing)} transactions of then are not stored" if span.missing else ""
            yield f"NO moment between {show(before)} and {show(span.start)}{lost}"
        yield f"any moment from {show(span.start)} to {show(span.end)} (from backup {span.backup} on)"
        before = span.end
    if moments.lost:
        yield f"{len(moments.lost)} transactions that this host had stored are gone from there ({moments.lost})"
    for key in moments.unreadable:
        yield f"the record {key} cannot be read: what it is of counts as gone"
    if moments.lost or moments.newest_unreadable:
        yield f"  try: {STORE_AGAIN}"
    if not moments.windows:
        yield "no moment can be restored: that takes binary logs and a backup of before them with a position"
    if moments.without_position:
        first, *others = moments.without_position
        yield (
            f"not from backup {first}{f' and {len(others)} more' if others else ''}, whose exact position is not known"
            " (a clone's is, once it is proven: wbagent backup drill)"
        )


def moment_rows(moments: Moments) -> list[dict[str, Any]]:
    """The spans for programs; times are seconds since the epoch."""
    return [{"from": each.start / 1e6, "to": each.end / 1e6, "backup": each.backup} for each in moments.windows]
