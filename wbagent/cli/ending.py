"""Lets Ctrl-C, SIGTERM and SIGHUP end a command alike: what it made is tidied up, and it says what is left."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """One of the signals that ask for an end has come."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end what is within: the first raises Interrupted, later ones wait with it."""

    def interrupt(number: int, _frame: object) -> None:
        for each in before:
            # Not SIG_IGN, which programs that are started from here would inherit.
            signal.signal(each, lambda *_: None)
        raise Interrupted(number)

    # What is ignored already, as SIGHUP by nohup(1), is to stay so.
    before = {number: handler for number in _ENDING if (handler := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
