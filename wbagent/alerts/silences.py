"""Silences: a person asked not to be told of some alerts for a while, and said why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Self

from wbagent.moment import Moment
from wbagent.state import State

_FACT: Final = "alerts.silences"


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of alerts whose fingerprint matches `pattern` ("cpu", "disk-*") for `seconds` after `began`."""

    id: int
    pattern: str
    began: Moment
    seconds: float
    by: str
    why: str

    def covers(self, fingerprint: str) -> bool:
        """Whether it is about this alert, or about this one's lack of data."""
        return fnmatchcase(fingerprint, self.pattern) or fnmatchcase(fingerprint, f"no-data:{self.pattern}")

    def left(self, now: Moment) -> float:
        """Seconds until it ends; 0 when it has. Where nobody can know (a clock set back across a reboot) it has."""
        passed = now.since(self.began)
        return max(0.0, self.seconds - passed) if passed is not None else 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "id": self.id,
            "pattern": self.pattern,
            "began": self.began.to_json(),
            "seconds": self.seconds,
            "by": self.by,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave."""
        return cls(
            value["id"], value["pattern"], Moment.from_json(value["began"]), value["seconds"], value["by"], value["why"]
        )


def active(state: State, now: Moment) -> tuple[Silence, ...]:
    """Those that have not ended, oldest first. Raises StateError."""
    return tuple(silence for silence in _all(state) if silence.left(now) > 0)


def begin(state: State, pattern: str, seconds: float, by: str, why: str, now: Moment) -> Silence:
    """Begin one; it is returned. Raises StateError."""
    with state.transaction():
        kept = _all(state)
        silence = Silence(max((each.id for each in kept), default=0) + 1, pattern, now, seconds, by, why)
        # One that has ended is kept until a next one begins, so that no number is given twice in a row.
        _put(state, [*(each for each in kept if each.left(now) > 0), silence], now)
    return silence


def end(state: State, number: int, now: Moment) -> Silence | None:
    """End one before its time; None when no silence that lasts has this number. Raises StateError."""
    with state.transaction():
        kept = [each for each in _all(state) if each.left(now) > 0]
        _put(state, [each for each in kept if each.id != number], now)
    return next((each for each in kept if each.id == number), None)


def _all(state: State) -> Sequence[Silence]:
    fact = state.get(_FACT)
    return [Silence.from_json(value) for value in fact.value] if fact else []


def _put(state: State, silences: Sequence[Silence], now: Moment) -> None:
    state.put(_FACT, [silence.to_json() for silence in silences], now.wall)
