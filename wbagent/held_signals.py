"""Holds back the signals that may raise or end this process, where it must not stop half-way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Ctrl-C, an end asked for by systemd, a terminal that is closed, a time that is up.
_RAISING: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM})


@contextmanager
def held_signals() -> Iterator[None]:
    """What comes during the block has its effect after it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
