"""The CPU alert: the guide's rule about a server that is short of resources."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.watch import Seen
from wbagent.config import Settings
from wbagent.config.monitor import CpuSettings
from wbagent.moment import Moment
from wbagent.monitor.cpu import CpuSampler
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration

KIND: Final = "cpu"


class CpuWatch:
    """The host's processors."""

    kinds = frozenset({KIND})

    def __init__(self) -> None:
        self._sampler = CpuSampler()

    def every(self, settings: Settings) -> float | None:
        """As [monitor.cpu] says."""
        cpu = settings.monitor.cpu
        return cpu.sample_every if cpu.enabled else None

    def look(self, settings: Settings, _now: Moment) -> Seen:
        """One sample: the time since the one before."""
        busy = self._sampler.sample()
        samples = () if busy is None else (Sample("wbagent_cpu_busy_ratio", busy / 100),)
        return Seen((condition(settings.monitor.cpu, busy),), samples)


def condition(cpu: CpuSettings, busy: float | None) -> Condition:
    """One sample of the host's processors, in percent; None: there was none."""
    window = cpu.for_minutes * 60
    return Condition(
        KIND,
        busy,
        cpu.above_percent,
        for_seconds=window,
        resolve_for=cpu.resolve_minutes * 60,
        every=cpu.sample_every,
        facts={
            "busy": f"{busy or 0.0:.0f} %",
            "limit": f"{cpu.above_percent:g} %",
            "window": format_duration(window),
        },
        no_data="the kernel gives no figures in /proc/stat",
    )
