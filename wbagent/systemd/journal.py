"""Structured logging: structlog's events go to the journal with their fields, or as readable lines to stderr."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_SOCKET: Final = "/run/systemd/journal/socket"
_PRIORITY: Final = {"debug": 7, "info": 6, "notice": 5, "warning": 4, "error": 3, "critical": 2}
# A datagram on a Unix socket is limited by net.core.wmem_max (208 KiB by default); a field of ours never needs more.
_LONGEST_FIELD: Final = 16_384


class _JournalLogger:
    """Sends one event as a datagram of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

    def __init__(self) -> None:
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def msg(self, payload: bytes) -> None:
        try:
            self._channel.sendto(payload, _SOCKET)
        except OSError:
            # journald is away for a moment (restart) or the datagram too large: stderr reaches it when it is back.
            sys.stderr.buffer.write(payload.split(b"\n", 1)[0] + b"\n")

    log = debug = info = warning = error = critical = msg


def configure(*, verbose: bool = False) -> None:
    """Choose the journal when systemd connected our stderr to it (JOURNAL_STREAM), else lines on stderr."""
    to_journal = "JOURNAL_STREAM" in os.environ
    structlog.configure(
        processors=[structlog.processors.add_log_level, _datagram if to_journal else _line],
        wrapper_class=structlog.make_filtering_bound_logger("debug" if verbose else "info"),
        logger_factory=_logger_factory if to_journal else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _logger_factory(*_: Any) -> _JournalLogger:
    return _JournalLogger()


def _datagram(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[bytes], dict[str, Any]]:
    fields = {
        "MESSAGE": event.pop("event"),
        "PRIORITY": _PRIORITY.get(event.pop("priority", event.pop("level", "info")), 6),
        "SYSLOG_IDENTIFIER": "wbagent",
    }
    event.pop("level", None)
    if message_id := event.pop("message_id", None):
        fields["MESSAGE_ID"] = message_id
    fields |= {_field_name(name): value for name, value in event.items() if value is not None}
    return (b"".join(_field(name, value) for name, value in fields.items()),), {}


def _field_name(name: str) -> str:
    # OBJECT_SYSTEMD_UNIT and the like are the journal's own names; ours are prefixed so that none collides.
    return name if name.isupper() else "WBAGENT_" + re.sub(r"[^A-Z0-9_]", "_", name.upper())


def _field(name: str, value: object) -> bytes:
    data = str(value).encode()[:_LONGEST_FIELD]
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    level = event.pop("level", "info")
    event.pop("message_id", None)
    text = str(event.pop("event"))
    return text if level in {"info", "debug"} else f"{level}: {text}"
