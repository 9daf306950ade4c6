"""The CPU alerts: the guide's rule about a server that is short of resources, for the host and for units of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.config.monitor import CpuSettings
from wbagent.database.local import is_local
from wbagent.moment import Moment
from wbagent.monitor import cgroups, pressure
from wbagent.monitor.cgroups import Reading, Readings, each_busy
from wbagent.monitor.cpu import CpuSampler, CpuTimes
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration

KIND: Final = "cpu"
UNIT_KIND: Final = "cpu-unit"
# So many of the busiest are named, and none below this share: the rest is noise (percent).
_NAMED: Final = 3
_LEAST: Final = 1.0
_LONGEST_NAME: Final = 40
NOTHING: Final[Mapping[str, str]] = {"who": "", "cores": "", "waiting": "", "elsewhere": ""}


class CpuWatch:
    """The host's processors, and what the units that are named use of them."""

    kinds = frozenset({KIND, UNIT_KIND})

    def __init__(self) -> None:
        self._sampler = CpuSampler()
        self._readings = Readings()
        self._each: tuple[CpuTimes, ...] = ()
        self._groups: dict[str, Path] = {}
        self._used: dict[str, tuple[float, float]] = {}
        self._seen: set[str] = set()

    def every(self, settings: Settings) -> float | None:
        """As [monitor.cpu] says."""
        cpu = settings.monitor.cpu
        return cpu.sample_every if cpu.enabled else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """One sample: the time since the one before."""
        cpu = settings.monitor.cpu
        busy = self._sampler.sample()
        # Of the same time as `busy`: over a longer one the busiest processor may be less busy than all are now.
        before, self._each = self._each, CpuTimes.read_each()
        waiting = pressure.waiting("cpu", "some")
        more = NOTHING
        if busy is not None and busy >= cpu.above_percent:
            more = self._beside(settings, now, waiting, each_busy(before, self._each))
        self._readings.keep(now.boottime, cpu.for_minutes * 60)
        samples = [Sample("wbagent_cpu_busy_ratio", busy / 100)] if busy is not None else []
        if waiting is not None:
            samples.append(Sample("wbagent_cpu_waiting_ratio", waiting / 100))
        conditions = [condition(cpu, busy, more)]
        for unit, above in cpu.units.items():
            used = self._share(unit, now.boottime)
            conditions.append(unit_condition(cpu, unit, above, used))
            if used is not None:
                samples.append(Sample("wbagent_cpu_unit_busy_ratio", used / 100, (("unit", unit),)))
        return Seen(tuple(conditions), tuple(samples))

    def _beside(
        self, settings: Settings, now: Moment, waiting: float | None, each: Sequence[float]
    ) -> Mapping[str, str]:
        """Who it was, over the window or as much of it as there is."""
        before, after = self._readings.oldest(), Reading.take(now.boottime)
        used = cgroups.shares(before, after, os.cpu_count() or 1) if before else ()
        over = format_duration(max(1.0, after.at - before.at)) if before else ""
        return words(settings.alerts.language, ", ".join(_named(used)), over, each, waiting, _elsewhere(settings))

    def _share(self, unit: str, now: float) -> float | None:
        """Percent of all processors since the last look; None at the first one, and of a unit that nobody knows."""
        seconds = self._seconds(unit)
        if seconds is None:
            self._used.pop(unit, None)
            # A unit that is stopped uses nothing; one that systemd never heard of is a slip of the pen.
            return 0.0 if unit in self._seen or cgroups.is_installed(unit) else None
        self._seen.add(unit)
        before = self._used.get(unit)
        self._used[unit] = (now, seconds)
        if before is None or now <= before[0]:
            return None
        grown = seconds - before[1] if seconds >= before[1] else seconds
        return min(100.0, 100 * grown / (now - before[0]) / (os.cpu_count() or 1))

    def _seconds(self, unit: str) -> float | None:
        if unit in self._groups and (seconds := cgroups.seconds_used(self._groups[unit])) is not None:
            return seconds
        top = cgroups.root()
        group = cgroups.find(unit, top) if top else None
        if group is None:
            return None
        self._groups[unit] = group
        return cgroups.seconds_used(group)


def words(
    language: str, named: str, over: str, each: Sequence[float], waiting: float | None, database: str
) -> Mapping[str, str]:
    """What stands beside the figure: spread, who it was, who waits, and what is not seen here."""
    facts = dict(NOTHING)
    if named:
        facts["who"] = say(language, "cpu.most", {"named": named, "over": over})
    if len(each) > 1:
        spread = {"most": f"{max(each):.0f} %", "least": f"{min(each):.0f} %"}
        facts["cores"] = say(language, "cpu.spread", spread)
    if waiting is not None:
        facts["waiting"] = say(language, "cpu.waited", {"percent": f"{waiting:.0f} %"})
    if database:
        facts["elsewhere"] = say(language, "cpu.remote", {"database": database})
    return facts


def _named(used: tuple[tuple[str, float], ...]) -> Iterator[str]:
    for name, percent in used[:_NAMED]:
        if percent >= _LEAST:
            short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
            yield f"{short} {percent:.0f} %"


def _elsewhere(settings: Settings) -> str:
    """The host of a database that is not on this one."""
    url = settings.database_url()
    return url.host if url is not None and not is_local(url) else ""


def condition(cpu: CpuSettings, busy: float | None, beside: Mapping[str, str] = NOTHING) -> Condition:
    """One sample of the host's processors, in percent; None: there was none."""
    window = cpu.for_minutes * 60
    return Condition(
        KIND,
        busy,
        cpu.above_percent,
        measured_in="percent",
        for_seconds=window,
        resolve_for=cpu.resolve_minutes * 60,
        every=cpu.sample_every,
        facts={
            "busy": f"{busy or 0.0:.0f} %",
            "limit": f"{cpu.above_percent:g} %",
            "window": format_duration(window),
            **beside,
        },
        no_data="the kernel gives no figures in /proc/stat",
    )


def unit_condition(cpu: CpuSettings, unit: str, above: float, used: float | None) -> Condition:
    """One sample of what a unit used, in percent of all processors."""
    window = cpu.for_minutes * 60
    return Condition(
        UNIT_KIND,
        used,
        above,
        measured_in="percent",
        about=unit,
        for_seconds=window,
        resolve_for=cpu.resolve_minutes * 60,
        every=cpu.sample_every,
        facts={
            "unit": unit,
            "used": f"{used or 0.0:.0f} %",
            "limit": f"{above:g} %",
            "window": format_duration(window),
        },
        no_data="systemd has no unit of this name, or cgroup v2 is not there",
    )
