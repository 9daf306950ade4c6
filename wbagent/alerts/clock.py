"""The alert about a clock that is not synchronised: stores refuse requests when it is wrong, and records lie."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.errors import WbagentError
from wbagent.moment import Moment
from wbagent.monitor.sample import Sample
from wbagent.systemd.bus import Bus

KIND: Final = "clock"


class ClockWatch:
    """Whether the kernel's clock is synchronised.

    systemd-timedated is asked, since the sandbox keeps adjtimex(2) from the agent; it looks at the kernel, so any time
    service counts.
    """

    kinds = frozenset({KIND})

    def every(self, settings: Settings) -> float | None:
        """As [monitor.clock] says."""
        clock = settings.monitor.clock
        return clock.sample_every if clock.enabled else None

    def look(self, settings: Settings, _now: Moment) -> Seen:
        """Ask once."""
        try:
            with Bus() as bus:
                found = bus.clock()
        except WbagentError as error:
            return Seen((condition(settings, None, service=False, reason=error.message),))
        samples = (Sample("wbagent_clock_synchronized", float(found.synchronised)),)
        return Seen((condition(settings, found.synchronised, service=found.service),), samples)


def condition(settings: Settings, synchronised: bool | None, *, service: bool, reason: str = "") -> Condition:
    """One look (None: nobody could say, for this reason); `service`: whether a time service is on."""
    clock, language = settings.monitor.clock, settings.alerts.language
    return Condition(
        KIND,
        None if synchronised is None else float(not synchronised),
        for_seconds=clock.unsynchronised_for,
        # One look between two bad ones says nothing yet.
        resolve_for=clock.sample_every,
        every=clock.sample_every,
        facts={"advice": say(language, f"{KIND}.on" if service else f"{KIND}.off")},
        no_data=reason,
        # Where nothing of systemd can be asked, other alerts are about that.
        no_data_for=3600.0,
    )
