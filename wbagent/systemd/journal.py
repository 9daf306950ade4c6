"""Structured logging: events go to the journal with their fields, or as readable lines to stderr."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from wbagent.absent import absent
from wbagent.errors import ConfigError, WbagentError

_SOCKET: Final = "/run/systemd/journal/socket"
_PRIORITY: Final = {"debug": 7, "info": 6, "notice": 5, "warning": 4, "error": 3, "critical": 2}
# A datagram on a Unix socket is limited by net.core.wmem_max (208 KiB by default); a field of ours never needs more.
_LONGEST_FIELD: Final = 16_384


def send(message: str, *, level: str = "info", message_id: str | None = None, **fields: object) -> None:
    """Write one event without structlog (8 MB): for the runner, which stays in memory beside every server."""
    if "JOURNAL_STREAM" in os.environ:
        _deliver(_datagram(message, level, message_id, fields))
    else:
        sys.stderr.write(_line(message, level) + "\n")


def failure(error: WbagentError) -> None:
    """Write what went wrong and what to do about it."""
    message = error.message
    if isinstance(error, ConfigError) and len(error.problems) > 1:
        message = "\n".join([f"{message}:", *error.problems])
    hint = f"\n  try: {error.hint}" if error.hint else ""
    send(f"{message}{hint}", level="error", message_id=error.message_id)


def configure(*, verbose: bool = False) -> None:
    """Let structlog's loggers write to the journal when systemd connected our stderr to it, else lines on stderr."""
    import logging  # noqa: PLC0415 - as structlog

    # structlog colours tracebacks with these where they are installed: 3.5 MB, in a process that writes to the journal.
    with absent("rich", "better_exceptions"):
        import structlog  # noqa: PLC0415 - loaded by the processes that log much, not by the runner

    def to_journal(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
        message, level = str(event.pop("event")), str(event.pop("level"))
        return _datagram(message, level, event.pop("message_id", None), event)

    def to_terminal(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        return _line(str(event["event"]), str(event["level"]))

    journal = "JOURNAL_STREAM" in os.environ
    structlog.configure(
        processors=[structlog.processors.add_log_level, to_journal if journal else to_terminal],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=(lambda *_: _JournalLogger()) if journal else structlog.PrintLoggerFactory(sys.stderr),
    )


class _JournalLogger:
    """What structlog hands the finished datagram to."""

    def msg(self, payload: bytes) -> None:
        _deliver(payload)

    debug = info = warning = error = critical = msg


def _deliver(payload: bytes) -> None:
    """Send one datagram of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(payload, _SOCKET)
        except OSError:
            # journald is away for a moment (restart): stderr is a stream to it that survives that.
            sys.stderr.buffer.write(payload.split(b"\n", 1)[0] + b"\n")


def _datagram(message: str, level: str, message_id: str | None, fields: Mapping[str, object]) -> bytes:
    entry: dict[str, object] = {
        "MESSAGE": message,
        "PRIORITY": _PRIORITY.get(level, 6),
        "SYSLOG_IDENTIFIER": "wbagent",
        "MESSAGE_ID": message_id,
    }
    entry |= {_field_name(name): value for name, value in fields.items()}
    return b"".join(_field(name, value) for name, value in entry.items() if value is not None)


def _field_name(name: str) -> str:
    # OBJECT_SYSTEMD_UNIT and the like are the journal's own names; ours are prefixed so that none collides.
    return name if name.isupper() else "WBAGENT_" + re.sub(r"[^A-Z0-9_]", "_", name.upper())


def _field(name: str, value: object) -> bytes:
    data = str(value).encode()[:_LONGEST_FIELD]
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def _line(message: str, level: str) -> str:
    return message if level in {"info", "debug"} else f"{level}: {message}"
