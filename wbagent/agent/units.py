"""The properties of the watched units, asked for again only after systemd said that they changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from wbagent.agent.overview import READ
from wbagent.systemd.bus import Bus, Properties

# What systemd announces no change of, such as whether a unit is enabled, is at most so old (seconds).
OLDEST_S: Final = 120.0


class Units:
    """One connection's view of the units. All of a unit's properties are 8 ms of both processes each time.

    Invariant: what `properties` gives is no older than the last announced change that the bus has processed. Every
    method raises BusError.
    """

    def __init__(
        self,
        bus: Bus,
        watched: tuple[str, ...],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bus = bus
        self._known: dict[str, tuple[float, Properties]] = {}
        self._told = changed
        self._clock = clock
        bus.subscribe(watched, self._changed)

    def properties(self, unit: str) -> Properties:
        """Those in `overview.READ`, as `Bus.properties`."""
        known = self._known.get(unit)
        if known is not None and self._clock() - known[0] < OLDEST_S:
            return known[1]
        # Noted before it is asked: whatever is announced from here on makes it old again.
        begun = self._clock()
        every = self.bus.properties(unit)
        found = {name: every[name] for name in READ if name in every}
        self._known[unit] = (begun, found)
        return found

    def _changed(self, unit: str, _properties: Properties) -> None:
        self._known.pop(unit, None)
        self._told()
