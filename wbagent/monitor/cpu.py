"""The host's CPU: the busy share of all processors between two readings of /proc/stat."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, Self

import psutil


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds that all processors together have spent in each state since boot.

    Guest time is left out: the kernel has counted it in `user` and `nice` already.
    """

    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    irq: float
    softirq: float
    steal: float

    @classmethod
    def read(cls) -> Self:
        """The counters now; raises OSError when /proc/stat cannot be read."""
        return cls._of(psutil.cpu_times())

    @classmethod
    def read_each(cls) -> tuple[Self, ...]:
        """The counters of each processor now; none when they cannot be read."""
        try:
            return tuple(cls._of(times) for times in psutil.cpu_times(percpu=True))
        except OSError:
            return ()

    @classmethod
    def _of(cls, times: Any) -> Self:
        return cls(
            user=times.user,
            nice=times.nice,
            system=times.system,
            idle=times.idle,
            iowait=times.iowait,
            irq=times.irq,
            softirq=times.softirq,
            steal=times.steal,
        )


def busy_percent(before: CpuTimes, after: CpuTimes) -> float | None:
    """The share of time in [0, 100] that was neither idle, nor waiting for a disk, nor taken by the hypervisor.

    None when there is nothing to say: no time passed, or a counter went backwards (the kernel's iowait does at times,
    and all do when a processor is taken away).
    """
    spent: list[float] = [later - earlier for earlier, later in zip(astuple(before), astuple(after), strict=True)]
    total = sum(spent)
    if total <= 0 or min(spent) < 0:
        return None
    not_busy = (after.idle - before.idle) + (after.iowait - before.iowait) + (after.steal - before.steal)
    # Rounding of the sums must not leave the range.
    return min(100.0, max(0.0, 100.0 * (1 - not_busy / total)))


class CpuSampler:
    """Keeps the last reading, so that each sample covers the time since the one before."""

    def __init__(self) -> None:
        self._last: CpuTimes | None = None

    def sample(self) -> float | None:
        """Busy percent since the last call; None at the first one and whenever there is nothing to say."""
        before, self._last = self._last, None
        try:
            self._last = CpuTimes.read()
        except OSError:
            return None
        return busy_percent(before, self._last) if before is not None else None
