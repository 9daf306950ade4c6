"""How much would be lost if the server were gone now: a pure answer from what was last known."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from wbagent.binlog.gtid import GtidSet
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration

# Where the unit notes its report in the state file.
FACT: Final = "binlog"
# What was noted longer ago says nothing about now (seconds).
_STALE_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the unit notes in the state file. Times are wall-clock seconds, 0 for never.

    `covered_at`: all that the server had executed at that moment is stored. `behind`: it has executed more since.
    `since`: when shipping was first asked for. `last_at`: the commit of the newest transaction that is stored.
    `silent`: nothing is known of the time since, as the server cannot be asked.
    `problem` and `hint`: what keeps it from going on, or "". `gap`: what was lost, and when that was seen.
    `sound_at`: when the newest backup was last seen to lead, by the rule of a restore, to the end of what is stored.
    `backup`: what is wrong with the newest backup as the place to begin from, or ""; `asked_at`: when one was started.
    `version`: of the wbagent that runs there. `stored`: the transactions that it has stored, "" before it had any.
    """

    noted_at: float
    since: float
    owner: str
    covered_at: float = 0.0
    behind: bool = True
    last_at: float = 0.0
    file: str = ""
    problem: str = ""
    hint: str = ""
    gap: str = ""
    gap_at: float = 0.0
    sound_at: float = 0.0
    backup: str = ""
    asked_at: float = 0.0
    version: str = ""
    silent: bool = False
    stored: str = ""

    @property
    def covered(self) -> bool:
        """Whether a restore crosses or follows the last gap: every moment from the newest backup on can be had."""
        return self.sound_at > self.gap_at

    def stale(self, now: float) -> bool:
        """Whether the unit has noted nothing for so long that this says nothing about now."""
        return now - self.noted_at >= _STALE_S

    def lag(self, now: float) -> float:
        """Seconds of work that are not stored; 0 when the server has nothing that is not.

        Invariant: it never falls while nothing is stored, also when the unit is dead and notes nothing; a server at
        which nothing happens has no lag, however long that lasts.
        """
        if not self.behind and not self.stale(now):
            return 0.0
        return max(0.0, now - (self.covered_at or self.since))

    def line(self, now: float) -> str:
        """The state in a few words."""
        lag = self.lag(now)
        if self.silent:
            covered = datetime.fromtimestamp(self.covered_at, UTC).astimezone()
            return (
                f"everything up to {covered:%Y-%m-%d %H:%M:%S} is stored; nothing is known of the"
                f" {format_duration(max(lag, 1))} since: {self.problem}"
            )
        if self.problem:
            return f"NOT STORED for {format_duration(max(lag, 1))}: {self.problem}"
        if not self.covered_at:
            return "the first binary logs are being stored"
        text = f"up to {format_duration(lag)} of work not stored yet" if lag else "everything is stored"
        newest = datetime.fromtimestamp(self.last_at, UTC).astimezone() if self.last_at else None
        return f"{text}, the newest of {newest:%Y-%m-%d %H:%M:%S} ({self.file})" if newest else text

    def samples(self, now: float) -> Iterator[Sample]:
        """What there is to measure; what is not known is left out."""
        yield Sample("wbagent_binlog_lag_seconds", self.lag(now))
        yield Sample("wbagent_binlog_gap", float(bool(self.gap) and not self.covered))
        if self.last_at:
            yield Sample("wbagent_binlog_last_event_timestamp_seconds", self.last_at)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `to_json` gave, of this version or an older one; raises TypeError, KeyError."""
        return cls(**{name: item for name, item in value.items() if name in cls.__dataclass_fields__})


class Coverage:
    """Remembers what the server had executed at each look until that is stored."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, GtidSet]] = deque(maxlen=10_000)
        self.covered_at = 0.0

    @property
    def behind(self) -> bool:
        """Whether the newest look saw something that is not stored."""
        return bool(self._waiting)

    def looked(self, executed: GtidSet, now: float) -> None:
        """The server had executed this at `now`.

        What it had before and has no more was lost, in a failover or by a reset: it will never be stored.
        """
        if self._waiting and not self._waiting[-1][1] <= executed:
            left = [each for each in self._waiting if each[1] <= executed]
            self._waiting.clear()
            self._waiting.extend(left)
        self._waiting.append((now, executed))

    def stored(self, shipped: GtidSet) -> None:
        """All of this is stored."""
        while self._waiting and self._waiting[0][1] <= shipped:
            self.covered_at, _ = self._waiting.popleft()
