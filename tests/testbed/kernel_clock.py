"""The kernel's account of how wrong its clock may be, by which a host counts as synchronised."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

# adjtimex(2): struct timex begins with these, and is 208 bytes long on 64-bit Linux.
_MAXERROR = 0x0004
# What the kernel says after hours without a word of a time server (microseconds); unsynchronised, says timedated.
_UNKNOWN = 16_000_000


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def _adjust(modes: int, maxerror: int = 0) -> int:
    """The largest error that was possible before, in microseconds."""
    libc = ctypes.CDLL(None, use_errno=True)
    now = _Timex()
    if libc.adjtimex(ctypes.byref(now)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if modes:
        asked = _Timex(modes=modes, maxerror=maxerror)
        if libc.adjtimex(ctypes.byref(asked)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(now.maxerror)


@contextmanager
def synchronised(*, value: bool) -> Iterator[None]:
    """Let the clock of this machine, and so of every host, count as synchronised or not; no clock is set."""
    before = _adjust(_MAXERROR, 0 if value else _UNKNOWN)
    try:
        yield
    finally:
        _adjust(_MAXERROR, before)
