"""The memory alerts: little of it left, everything waiting for it, and processes that the kernel killed for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.config.monitor import MemorySettings
from wbagent.moment import Moment
from wbagent.monitor import pressure
from wbagent.monitor.memory import VICTIM_PATTERN, memory, oom_kills, victim
from wbagent.monitor.rules import Severity
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration, format_size
from wbagent.systemd.journal_lines import newest_lines

LOW: Final = "memory-low"
WAITING: Final = "memory-waiting"
KILLED: Final = "oom-kill"
KINDS: Final = frozenset({LOW, WAITING, KILLED})

# A kill is told at once and over when there was none for so long (seconds).
QUIET_S: Final = 600.0
_NAMED: Final = 3


class MemoryWatch:
    """The host's memory."""

    kinds = KINDS

    def __init__(self) -> None:
        self._count: int | None = None
        self._looked_at: Moment | None = None
        self._kills: deque[tuple[float, str]] = deque(maxlen=100)

    def every(self, settings: Settings) -> float | None:
        """As [monitor.memory] says."""
        memory_settings = settings.monitor.memory
        return memory_settings.sample_every if memory_settings.enabled else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """One look; what was killed since the last one is looked up in the journal."""
        found, waiting, count = memory(), pressure.waiting("memory", "full"), oom_kills()
        self._note(count, now)
        while self._kills and now.boottime - self._kills[0][0] >= QUIET_S:
            self._kills.popleft()
        samples = []
        if found:
            samples.append(Sample("wbagent_memory_available_bytes", float(found[0])))
        if waiting is not None:
            samples.append(Sample("wbagent_memory_waiting_ratio", waiting / 100))
        if count is not None:
            samples.append(Sample("wbagent_oom_kills_total", float(count)))
        kills = [who for _, who in self._kills]
        return Seen(conditions(settings, found, waiting, kills if count is not None else None), tuple(samples))

    def _note(self, count: int | None, now: Moment) -> None:
        """What was killed before the first look is not known to be new."""
        if count is not None and self._count is not None and self._looked_at is not None and count > self._count:
            new = count - self._count
            named = victims(self._looked_at.wall, new)
            self._kills.extend((now.boottime, who) for who in [*named, *[""] * (new - len(named))])
        self._count, self._looked_at = count, now


def victims(since: float, count: int) -> tuple[str, ...]:
    """Whom the kernel's log names as killed since `since` (wall clock), at most `count`, oldest first."""
    # The agent's group may read all of the journal. Where it lacks the kernel's, none is named.
    lines = newest_lines("_TRANSPORT=kernel", f"--since=@{since:.0f}", f"--grep={VICTIM_PATTERN}", count=min(count, 20))
    return tuple(found for line in lines if (found := victim(line)))


def conditions(
    settings: Settings, found: tuple[int, int] | None, waiting: float | None, kills: Sequence[str] | None
) -> tuple[Condition, ...]:
    """One look: (available, total) bytes, percent of time all waited, and each kill within `QUIET_S` ("": of whom?)."""
    limits, language = settings.monitor.memory, settings.alerts.language
    low = _low(limits, found)
    because = (f"{LOW}",)
    # A kernel without pressure figures is no trouble that somebody has to mend.
    wait = Condition(
        WAITING,
        waiting or 0.0,
        limits.waiting_percent,
        measured_in="percent",
        for_seconds=limits.for_minutes * 60,
        resolve_for=120.0,
        every=limits.sample_every,
        because_of=because,
        facts={
            "percent": f"{waiting or 0.0:.0f} %",
            "limit": f"{limits.waiting_percent:g} %",
            "free": low.facts["free"],
        },
    )
    killed = Condition(
        KILLED,
        float(len(kills)) if kills is not None else None,
        measured_in="count",
        severity=Severity.CRITICAL,
        every=limits.sample_every,
        facts={
            "count": len(kills or ()),
            "who": _who(language, kills or ()),
            "quiet": format_duration(QUIET_S),
            "free": low.facts["free"],
        },
        no_data="the kernel gives no figure oom_kill in /proc/vmstat",
    )
    return low, wait, killed


def _low(limits: MemorySettings, found: tuple[int, int] | None) -> Condition:
    available, total = found or (0, 0)
    percent = 100 * available / total if total else None
    return Condition(
        LOW,
        100 - percent if percent is not None else None,
        100 - limits.available_percent,
        measured_in="percent",
        for_seconds=limits.for_minutes * 60,
        resolve_for=120.0,
        every=limits.sample_every,
        facts={
            "free": format_size(available),
            "total": format_size(total),
            "percent": f"{percent or 0.0:.1f} %",
            "limit": f"{limits.available_percent:g} %",
        },
        no_data="the kernel gives no figures in /proc/meminfo",
    )


def _who(language: str, kills: Sequence[str]) -> str:
    names = list(dict.fromkeys(who for who in reversed(kills) if who))
    if not names:
        return say(language, f"{KILLED}.unknown")
    return ", ".join(names[:_NAMED]) + ("…" if len(names) > _NAMED else "")
