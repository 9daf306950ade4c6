"""Whether the clock is kept by a time service, and by how much it may be off."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Final

from wbagent.checks.check import Finding, Subject, passed, warn
from wbagent.errors import WbagentError
from wbagent.quantities import format_duration
from wbagent.systemd.bus import Bus

# adjtimex(2): set once no time server has been heard of for long, or never.
_UNSYNCHRONISED: Final = 0x0040
_INSTALL: Final = "apt install systemd-timesyncd && systemctl enable --now systemd-timesyncd"
# The kernel's bound grows by 0.5 ms a second: to 1 s between two questions of systemd-timesyncd (2048 s at most), to
# this after three hours without an answer.
_OFF_S: Final = 5.0


class _Timex(ctypes.Structure):
    """The head of struct timex, and room for the rest, which is 208 bytes long on 64-bit Linux."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the kernel knows of its clock: whether it is kept, and by how much it may be off at most (seconds)."""

    synchronised: bool
    most_s: float


def kernel() -> Kernel:
    """Asks and sets nothing; anybody may."""
    found = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "adjtimex")
    return Kernel(not found.status & _UNSYNCHRONISED, found.maxerror / 1e6)


def clock(_: Subject) -> Finding:
    """What the kernel and systemd-timedated say."""
    known = kernel()
    try:
        with Bus() as bus:
            asked = bus.clock()
    except WbagentError:
        return judge(known, service=None)
    return judge(Kernel(asked.synchronised, known.most_s), service=asked.service)


def judge(known: Kernel, *, service: bool | None) -> Finding:
    """`service`: whether a time service is on; None where nobody could say."""
    if known.synchronised:
        off = f"off by {format_duration(known.most_s)} at most"
        if known.most_s > _OFF_S:
            return warn(
                f"synchronised, but {off}: no time server has been heard of for long",
                needed="a time server that answers",
                remedy="timedatectl timesync-status    # or: chronyc sources",
            )
        return passed(f"synchronised, {off}")
    if service is False:
        return warn("not synchronised, and no time service is on", needed="a time service", remedy=_INSTALL)
    return warn(
        "not synchronised" + (" although a time service is on" if service else ""),
        needed="a time server that answers",
        remedy="timedatectl timesync-status    # or: chronyc sources; UDP port 123 has to be open",
    )
