"""A point in time whose distance to a later one survives restarts of the agent, reboots and a clock that is set."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@cache
def _boot_id() -> str:
    # The runner's unit hides /proc/sys and passes the id (the specifier %b of systemd.unit(5), without dashes).
    return (os.environ.get("WBAGENT_BOOT_ID") or _BOOT_ID.read_text().strip()).replace("-", "")


@dataclass(frozen=True, slots=True)
class Moment:
    """`wall`: seconds since the epoch. `boottime`: seconds of CLOCK_BOOTTIME, which counts suspended time too.

    `boot_id` says which boot `boottime` belongs to.
    """

    wall: float
    boottime: float
    boot_id: str

    @classmethod
    def now(cls) -> Self:
        """This moment on this host."""
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), _boot_id())

    def since(self, earlier: Moment) -> float | None:
        """Seconds from `earlier` to this moment; None when the wall clock was set back across a reboot.

        Within one boot nobody can set the clock that is used; across boots only the wall clock is there.
        """
        if self.boot_id == earlier.boot_id:
            return max(0.0, self.boottime - earlier.boottime)
        elapsed = self.wall - earlier.wall
        return elapsed if elapsed >= 0 else None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"wall": self.wall, "boottime": self.boottime, "boot_id": self.boot_id}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave."""
        return cls(float(value["wall"]), float(value["boottime"]), str(value["boot_id"]).replace("-", ""))
