"""Keeps a burst of events (a server that restarts again and again) from becoming a burst of messages.

The invariant, for any order of events, looks at them, restarts of the agent and reboots:

1. An event that no window covers is told at the first look after it.
2. Within a window nothing is told. When it is over, all events in it are told as one, and the next window is twice as
   long (up to `LONGEST_WINDOW_S`): n hours of a crash loop make O(log n) messages, then a few a day.
3. A window without an event ends the burst.
4. Every event is told exactly once, in order, alone or in a summary; those older than the first look are not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from wbagent.moment import Moment

FIRST_WINDOW_S: Final = 600.0
LONGEST_WINDOW_S: Final = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at wall-clock time `at` (seconds since the epoch). `key` is its own alone."""

    key: str
    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Burst:
    """What is remembered: the newest event told, and the window (seconds) that began with telling it."""

    told_key: str = ""
    told_at: float = 0.0
    began: Moment | None = None
    window: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "told_key": self.told_key,
            "told_at": self.told_at,
            "began": self.began.to_json() if self.began else None,
            "window": self.window,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave."""
        began = Moment.from_json(value["began"]) if value["began"] else None
        return cls(value["told_key"], value["told_at"], began, value["window"])


@dataclass(frozen=True, slots=True)
class Decision:
    """The state to store, and the events to tell now as one message: none, one, or several as a summary."""

    burst: Burst
    tell: tuple[Event, ...] = ()


def decide(previous: Burst | None, history: Sequence[Event], now: Moment) -> Decision:
    """One look at the history (oldest first; it may have lost its oldest events since the last look).

    `previous` is None at the very first look: then only what happened within the last window is news.
    """
    if previous is None:
        old = [event for event in history if event.at < now.wall - FIRST_WINDOW_S]
        previous = Burst(old[-1].key, old[-1].at) if old else Burst()
    if _open(previous, now):
        return Decision(previous)
    fresh = _after(previous, history)
    if not fresh:
        return Decision(Burst(previous.told_key, previous.told_at))
    window = min(LONGEST_WINDOW_S, 2 * previous.window) if previous.window else FIRST_WINDOW_S
    return Decision(Burst(fresh[-1].key, fresh[-1].at, began=now, window=window), fresh)


def _open(burst: Burst, now: Moment) -> bool:
    elapsed = now.since(burst.began) if burst.began else None
    return elapsed is not None and elapsed < burst.window


def _after(burst: Burst, history: Sequence[Event]) -> tuple[Event, ...]:
    """The events after the newest one told: by its place, or by the clock where the history has dropped it."""
    for position in range(len(history) - 1, -1, -1):
        if history[position].key == burst.told_key:
            return tuple(history[position + 1 :])
    return tuple(event for event in history if event.at > burst.told_at)
