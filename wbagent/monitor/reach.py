"""Whether this host reaches anything: what every look at another machine found, put together to tell a dead network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wbagent.moment import Moment

# What was found longer ago says nothing of now (seconds).
_FRESH_S: Final = 180.0
_LOCAL: Final = frozenset({"localhost", "::1", ""})


@dataclass(frozen=True, slots=True)
class Found:
    """The newest look at one machine: it answered with anything at all, if only a refusal, or it did not."""

    reached: bool
    at: Moment


class Reach:
    """What the watches of one agent found; forgotten when it ends."""

    def __init__(self) -> None:
        self._found: dict[str, Found] = {}

    def note(self, host: str, reached: bool, now: Moment) -> None:
        """Keep what a look at another machine found; this host itself is no news."""
        if host not in _LOCAL and not host.startswith("127."):
            self._found = {**self._found, host: Found(reached, now)}

    def found(self, now: Moment) -> Mapping[str, Found]:
        """What was found lately."""
        fresh = {host: found for host, found in self._found.items() if (now.since(found.at) or 0.0) <= _FRESH_S}
        self._found = fresh
        return fresh


def cut_off(found: Mapping[str, Found]) -> bool:
    """Whether it is this host's network that is gone: of two or more other machines none answered.

    Invariant: one machine that answers, if only by refusing, is enough for False, and one alone is never enough for
    True: that one may be what is gone.
    """
    return len(found) >= 2 and not any(each.reached for each in found.values())
