"""Carries messages to destinations by Apprise: each destination has a process of its own, which can be ended.

A library call that hangs cannot be stopped in a thread, and Apprise's time-outs hold between two bytes, not for the
whole; a forked process costs a few milliseconds and holds no other destination up. Only here is apprise imported.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, Final

from wbagent.alerts.destination import Destination, masked
from wbagent.alerts.message import Kind, Message, shortened

# One message may take this long, all of one destination in a round together that long (seconds).
MESSAGE_LIMIT_S: Final = 30.0
ROUND_LIMIT_S: Final = 90.0
_LONGEST_REASON: Final = 300
_TYPES: Final = {"critical": "failure", "warning": "warning", "info": "info"}


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one destination is to get, in this order."""

    destination: Destination
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a destination took its message number `index`; `error` is empty when it did, and never holds a secret.

    `tried` is false where the failure of an earlier message kept this one from being sent.
    """

    destination: Destination
    index: int
    error: str
    tried: bool = True


@dataclass(slots=True)
class _Carrier:
    """A running process and what it still owes an answer for. Times are of time.monotonic()."""

    parcel: Parcel
    process: ForkProcess
    answers: Connection
    deadline: float
    round_deadline: float
    done: int = 0

    @property
    def owes(self) -> bool:
        return self.done < len(self.parcel.messages)

    def give_up(self, error: str) -> Iterator[Answer]:
        """Failures for all that is owed: of the message under way, and of those behind it that were not tried."""
        first, self.done = self.done, len(self.parcel.messages)
        for index in range(first, self.done):
            tried = index == first
            yield Answer(self.parcel.destination, index, error if tried else f"not tried: {error}", tried)


def carry(
    parcels: Sequence[Parcel], *, message_limit: float = MESSAGE_LIMIT_S, round_limit: float = ROUND_LIMIT_S
) -> Iterator[Answer]:
    """Send everything, all destinations at once; one answer for each message, in time whatever a destination does.

    After a failure later messages of the same alert are not tried: nobody is told "resolved" before "firing".
    """
    try:
        import apprise  # noqa: F401, PLC0415 - loaded once, before the processes fork
    except ImportError as error:
        for parcel in parcels:
            for index in range(len(parcel.messages)):
                yield Answer(parcel.destination, index, f"Apprise cannot be loaded: {error}")
        return
    carriers = [_start(parcel, message_limit, round_limit) for parcel in parcels if parcel.messages]
    try:
        while owing := [carrier for carrier in carriers if carrier.owes]:
            first = min(min(carrier.deadline, carrier.round_deadline) for carrier in owing)
            ready = wait([carrier.answers for carrier in owing], timeout=max(0.0, first - time.monotonic()))
            for carrier in owing:
                if carrier.answers in ready:
                    yield from _receive(carrier, message_limit)
                elif time.monotonic() >= min(carrier.deadline, carrier.round_deadline):
                    carrier.process.kill()
                    yield from carrier.give_up(f"no answer within {min(message_limit, round_limit):g} s")
    finally:
        for carrier in carriers:
            if carrier.owes:
                carrier.process.kill()
            carrier.process.join()
            carrier.answers.close()


def _start(parcel: Parcel, message_limit: float, round_limit: float) -> _Carrier:
    context = multiprocessing.get_context("fork")
    answers, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(parcel, theirs, round_limit + message_limit), daemon=True)
    process.start()
    theirs.close()
    now = time.monotonic()
    return _Carrier(parcel, process, answers, now + message_limit, now + round_limit)


def _receive(carrier: _Carrier, message_limit: float) -> Iterator[Answer]:
    try:
        error, tried = carrier.answers.recv()
    except EOFError:
        carrier.process.join()
        yield from carrier.give_up(f"the sending process ended by itself (exit status {carrier.process.exitcode})")
        return
    yield Answer(carrier.parcel.destination, carrier.done, error, tried)
    carrier.done += 1
    carrier.deadline = time.monotonic() + message_limit


def _serve(parcel: Parcel, answers: Connection, limit: float) -> None:
    """In the child: one answer (error, tried) for each message."""
    # Should the parent be killed, nobody else would end this; it holds the deliverers' lock as long as it lives.
    signal.setitimer(signal.ITIMER_REAL, limit)
    url = parcel.destination.url
    log = _Log()
    send = _sender(url, log)
    failed: set[str] = set()
    for message in parcel.messages:
        if message.fingerprint in failed:
            answers.send(("not tried: an earlier message of this alert waits", False))
            continue
        log.records.clear()
        try:
            error = send(message)
        except Exception as raised:  # a plugin may raise anything; what it was is told instead
            error = f"{type(raised).__name__}: {raised}"
        if error:
            failed.add(message.fingerprint)
        answers.send((shortened(masked(error, url), _LONGEST_REASON), True))


def _sender(url: str, log: _Log) -> Callable[[Message], str]:
    """A function that sends one message and gives the reason of a failure, else nothing."""
    import apprise  # noqa: PLC0415 - see `carry`

    asset = apprise.AppriseAsset(app_id="wbagent", app_desc="wbagent", async_mode=False)
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        unreadable = f"Apprise cannot read this URL: {log.reason() or 'it does not know its form'}"
        return lambda _message: unreadable
    sender = apprise.Apprise(asset=asset)
    sender.add(service)

    def send(message: Message) -> str:
        kind = "success" if message.kind is Kind.RESOLVED else _TYPES[message.severity]
        taken = sender.notify(title=message.subject(), body=message.body(), notify_type=kind, body_format="text")
        return "" if taken else log.reason() or "Apprise reports a failure and gives no reason"

    return send


@dataclass(slots=True)
class _Log:
    """Apprise tells why something failed in its log alone; this listens to it."""

    records: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        listener = _Listener(self.records)
        logger: Any = logging.getLogger("apprise")
        logger.handlers[:] = [listener]
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def reason(self) -> str:
        """The last two warnings, with the system's word from the debug line that follows them."""
        warnings = [text for level, text in self.records if level >= logging.WARNING]
        details = [text for _, text in self.records if text.startswith("Socket Exception: ")]
        reason = "; ".join(text.rstrip(". ") for text in warnings[-2:])
        # requests nests its errors: the innermost, after the last colon, is the system's.
        detail = details[-1].rsplit(": ", 1)[-1].strip("()'\"<> ") if details else ""
        return ": ".join(part for part in (reason, detail) if part)


class _Listener(logging.Handler):
    def __init__(self, records: list[tuple[int, str]]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append((record.levelno, record.getMessage()))
