"""Lets SIGTERM, Ctrl-C and the time limit end a run in order: they become an exception where it stands."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wbagent.errors import BackupError
from wbagent.quantities import format_duration

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)


@contextmanager
def ended_in_order(time_limit: float, key: str = "[backup] time_limit", unit: str = "wbagent-backup") -> Iterator[None]:
    """Raise BackupError in the main thread on the first signal, or after `time_limit` seconds; then ignore the rest.

    `key` is what sets the limit, and `unit` what runs the job.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        # A second one would cut off the tidying that the first one began.
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGALRM:
            raise BackupError(
                f"it took longer than {key} ({format_duration(time_limit)})",
                hint=f"see where the time went (journalctl -u {unit}), or raise time_limit",
            )
        raise BackupError(
            f"it was ended by {signal.Signals(number).name} before it was complete", hint=f"systemctl start {unit}"
        )

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    signal.setitimer(signal.ITIMER_REAL, time_limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
