"""Control groups (cgroup v2): how much of the processors each unit of the host used.

The kernel counts a group's time in cpu.stat whether or not the cpu controller is on. Time stolen by the hypervisor is
in none of it, nor is waiting.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.monitor.cpu import CpuTimes, busy_percent

# Where v2 is mounted, and where it is beside v1 ("hybrid").
_ROOTS: Final = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# These hold all there is; what is within them is what people know by name.
_OPENED: Final = frozenset({"system.slice", "user.slice"})
_UNIT_FILES: Final = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_DEEPEST: Final = 4


def root() -> Path | None:
    """Where cgroup v2 is; None where there is none."""
    return next((path for path in _ROOTS if (path / "cgroup.controllers").exists()), None)


def seconds_used(group: Path) -> float | None:
    """Processor time of all processes that are or were in the group and below; None where there is no such group."""
    try:
        text = (group / "cpu.stat").read_bytes()
    except OSError:
        return None
    # The first line (cgroup-v2, cpu.stat): usage_usec N.
    key, _, value = text.partition(b"\n")[0].partition(b" ")
    return int(value) / 1e6 if key == b"usage_usec" else None


def shown_as(group: str) -> str:
    """The name that people know for a group ("/system.slice/mysql.service"): the unit, or the slice around it."""
    parts = group.strip("/").split("/")
    return parts[1] if parts[0] in _OPENED and len(parts) > 1 else parts[0]


def groups(top: Path) -> dict[str, Path]:
    """Every group that `shown_as` names, by that name."""
    found: dict[str, Path] = {}
    for path in _children(top):
        within = _children(path) if path.name in _OPENED else []
        found |= {each.name: each for each in within or [path]}
    return found


def find(unit: str, top: Path) -> Path | None:
    """The group of a running unit: a service, a scope or a slice, wherever in the tree it is."""
    level = [top]
    for _ in range(_DEEPEST):
        level = [child for path in level for child in _children(path)]
        for path in level:
            if path.name == unit:
                return path
    return None


def is_installed(unit: str) -> bool:
    """Whether there is a unit file of this name (of its template, for an instance): it is known, and may be stopped."""
    name, _, instance = unit.partition("@")
    template = f"{name}@.{instance.rpartition('.')[2]}"
    return any((Path(place) / name).exists() for place in _UNIT_FILES for name in (unit, template))


def _children(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [path / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment; `at` in seconds of a clock that nobody sets."""

    at: float
    used: Mapping[str, float]

    @classmethod
    def take(cls, at: float) -> Reading:
        """Read them now."""
        top = root()
        used = {name: seconds_used(path) for name, path in groups(top).items()} if top else {}
        return cls(at, {name: value for name, value in used.items() if value is not None})


def shares(before: Reading, after: Reading, processors: int) -> tuple[tuple[str, float], ...]:
    """(name, percent of all processors) between two readings, the busiest first.

    What came in between counts from nothing; of what was started anew in between, the time since then counts.
    """
    passed = (after.at - before.at) * processors
    if passed <= 0:
        return ()
    grown = {
        name: used - earlier if used >= (earlier := before.used.get(name, 0.0)) else used
        for name, used in after.used.items()
    }
    ordered = sorted(grown.items(), key=lambda each: (-each[1], each[0]))
    return tuple((name, min(100.0, 100 * seconds / passed)) for name, seconds in ordered)


def each_busy(before: Sequence[CpuTimes], after: Sequence[CpuTimes]) -> tuple[float, ...]:
    """Percent that each processor was busy between two readings; none when one came or went."""
    if len(before) != len(after):
        return ()
    found = (busy_percent(*pair) for pair in zip(before, after, strict=True))
    return tuple(percent for percent in found if percent is not None)


class Readings:
    """The readings of the last while, few of them: who used the processors is asked seldom, and then of the past."""

    def __init__(self) -> None:
        self._kept: deque[Reading] = deque()

    def keep(self, now: float, window: float) -> None:
        """Take one when the last is a fifth of the window old; the oldest kept is about a window old."""
        if not self._kept or now - self._kept[-1].at >= window / 5:
            self._kept.append(Reading.take(now))
        while len(self._kept) > 1 and now - self._kept[1].at >= window:
            self._kept.popleft()

    def oldest(self) -> Reading | None:
        """Of the window."""
        return self._kept[0] if self._kept else None
