"""Structured logging: events go to the journal with their fields, or as readable lines to stderr.

Written here because structlog loads rich and pygments (8 MB); the protocol is one datagram.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from typing import Final

from wbagent.errors import ConfigError, WbagentError

_SOCKET: Final = "/run/systemd/journal/socket"
_PRIORITY: Final = {"debug": 7, "info": 6, "notice": 5, "warning": 4, "error": 3, "critical": 2}
# A datagram on a Unix socket is limited by net.core.wmem_max (208 KiB by default); a field of ours never needs more.
_LONGEST_FIELD: Final = 16_384


def send(message: str, *, level: str = "info", message_id: str | None = None, **fields: object) -> None:
    """Write one event; fields that are None are left out."""
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


class Log:
    """What a long-running process says of itself; what it does not do is told only when `verbose` was asked for."""

    verbose = False

    def debug(self, message: str, **fields: object) -> None:
        """What nobody needs while all is well."""
        if self.verbose:
            send(message, level="debug", message_id=None, **fields)

    def info(self, message: str, message_id: str | None = None, **fields: object) -> None:
        """What happened."""
        send(message, level="info", message_id=message_id, **fields)

    def warning(self, message: str, message_id: str | None = None, **fields: object) -> None:
        """What somebody may have to look at."""
        send(message, level="warning", message_id=message_id, **fields)

    def error(self, message: str, message_id: str | None = None, **fields: object) -> None:
        """What does not work."""
        send(message, level="error", message_id=message_id, **fields)


log: Final = Log()


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
