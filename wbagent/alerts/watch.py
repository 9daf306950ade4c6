"""A watch: one area that the agent looks at again and again, and what a look finds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from wbagent.alerts.condition import NO_DATA, NO_DATA_FOR_S, Condition
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.sample import Sample


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found: what alerts are judged by, and what is kept for the report and Prometheus.

    `of`: the kinds that it could say something about, where that is not all of the watch's: alerts of the others stay
    as they are.
    """

    conditions: tuple[Condition, ...] = ()
    samples: tuple[Sample, ...] = ()
    of: Collection[str] | None = None


def unlooked(kinds: Collection[str], every: float, why: str = "") -> Condition:
    """That looks at these kinds end in an error that nobody foresaw, `why`; without one it is over, if it was so."""
    name = ", ".join(sorted(kinds))
    facts = {"name": name, "reason": why, "fingerprint": name}
    return Condition(NO_DATA, float(bool(why)), about=name, for_seconds=NO_DATA_FOR_S, every=every, facts=facts)


class Watch(Protocol):
    """One area. It may remember what it saw last, such as a counter; a restart of the agent forgets that."""

    @property
    def kinds(self) -> Collection[str]:
        """Every kind of condition that a look may give: what fires of these and is no longer given is over."""

    def every(self, settings: Settings) -> float | None:
        """Seconds between two looks; None where this is not to be watched."""

    def look(self, settings: Settings, now: Moment) -> Seen:
        """Look. It may block for some seconds: it runs in a thread of its own, never twice at once.

        What cannot be read is a condition without a value and no exception.
        """
