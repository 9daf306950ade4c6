"""Where a restore is to end: at a moment, or just before a transaction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from wbagent.binlog.gtid import Gtid, parse_gtid
from wbagent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Until:
    """Either `at`, microseconds since the epoch (what was committed then is in), or `before`, a transaction."""

    at: int = 0
    before: Gtid | None = None

    def __str__(self) -> str:
        return f"just before {self.before}" if self.before else show(self.at)


def microseconds_of(seconds: float) -> int:
    """A wall-clock time in microseconds, rounded as datetime does: the two are compared."""
    fraction, whole = math.modf(seconds)
    return int(whole) * 1_000_000 + round(fraction * 1e6)


def show(microseconds: int) -> str:
    """A moment as people here write it, with its offset from UTC."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    local = datetime.fromtimestamp(seconds, UTC).astimezone().replace(microsecond=fraction)
    return local.isoformat(" ", "microseconds" if fraction else "seconds")


def parse_until(at: str | None, before: str | None) -> Until:
    """Read what --at or --before-gtid was given; raises UsageError.

    A time without an offset is this host's local time, of which one hour comes twice when summer ends.
    """
    if before is not None:
        try:
            return Until(before=parse_gtid(before))
        except ValueError as error:
            raise UsageError(f"--before-gtid {before}: {error}", hint="as in the output of mysqlbinlog") from None
    try:
        told = datetime.fromisoformat((at or "").strip())
    except ValueError:
        raise UsageError(
            f"--at {at}: this is no time", hint='such as "2026-11-23 14:05:00" or "2026-11-23 14:05:00.25+09:00"'
        ) from None
    earlier, later = (told.replace(fold=fold).astimezone() for fold in (0, 1))
    if earlier.utcoffset() != later.utcoffset():
        raise UsageError(
            f"--at {at}: this host's clock shows that time twice or never, as it is put forward or back then",
            hint=f'say which of the two is meant: --at "{earlier.isoformat(" ")}" or --at "{later.isoformat(" ")}"',
        )
    moment = earlier.astimezone(UTC)
    whole = moment.replace(microsecond=0)
    return Until(int(whole.timestamp()) * 1_000_000 + moment.microsecond)
