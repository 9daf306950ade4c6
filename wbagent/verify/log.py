"""What the log of the server's container says of its start: W&B's image stays up when its start has failed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config.server import ServerSettings
from wbagent.server import history
from wbagent.server.diagnosis import diagnose
from wbagent.server.history import Reason
from wbagent.server.probe import READINESS, probe
from wbagent.server.specification import NAME
from wbagent.systemd.journal_lines import newest_lines
from wbagent.systemd.unit_names import SERVER_UNIT

_MOST: Final = 500
_LONGEST: Final = 200
# journalctl looks for these itself: a busy server writes far more than is to be read here.
_TELLING: Final = (
    "panic|!!!|fatal|error|denied|NoSuchBucket|Dirty database|dial tcp|No space left|unknown connection|address already"
)
_BOOT: Final = re.compile(r"(?:panic: |!!! |fatal error: )")


@dataclass(frozen=True, slots=True)
class Log:
    """The lines since the last start that may tell of trouble. `ready`: it serves now, whatever they say.

    `ended`: why the last run ended, where that was the last that happened. `readable`: whether any line could be read.
    """

    lines: tuple[str, ...]
    ready: bool
    ended: str = ""
    readable: bool = True


def look(subject: Subject) -> Finding:
    """Read the history and the journal, ask the server itself, and judge. Raises PermissionError."""
    server = subject.settings.server
    return judge(_sample(ready=server is not None and _ready(server)))


def judge(log: Log) -> Finding:
    """Invariant: no failure while the server is ready, and a pass only where something could be read."""
    read_on = f"journalctl -x -u {SERVER_UNIT}"
    say = warn if log.ready else fail
    needed = "a start without errors"
    if known := diagnose([log.ended, *log.lines]):
        return say(_sentence(log, known.cause), needed=needed, remedy=f"{known.remedy}\n{read_on}")
    if boot := [line for line in log.lines if _BOOT.match(line)]:
        return say(_sentence(log, f"the log says: {_cut(boot[-1])}"), needed=needed, remedy=read_on)
    if log.ended and not log.ready:
        return fail(_sentence(log, ""), needed="a server that runs", remedy=f"wbagent server history; {read_on}")
    if not log.readable:
        return note(
            "no line of the container can be read, or it was never started",
            remedy=f"run this as root, or as a member of group systemd-journal; systemctl status {SERVER_UNIT}",
        )
    if errors := [text for line in log.lines if (text := _error(line))]:
        number = f"{len(errors)} errors" if len(errors) > 1 else "an error"
        return note(f"{number} in the log since the start; the newest: {_cut(errors[-1])}", remedy=read_on)
    return passed("no error since the start")


def _ready(server: ServerSettings) -> bool:
    """At its own port: the history tells of a readiness that is lost only when it has been so for minutes."""
    address = "127.0.0.1" if server.bind in {"0.0.0.0", "::"} else server.bind
    return probe([(address, server.port)], READINESS, server.probes.timeout).ok


def _sample(*, ready: bool) -> Log:
    last = history.newest(history.read())
    if last is not None and last.reason is Reason.READY:
        this = f"CONTAINER_ID={last.container}"
        return Log(_lines(this), ready, readable=bool(newest_lines(this, count=1)))
    # A start that is under way, or hangs, is not in the history yet.
    selection = (f"CONTAINER_NAME={NAME}", f"--since=@{last.at:.0f}" if last else "--boot")
    ended = f"{last.reason}; {last.detail}" if last else ""
    lines = (*(last.log if last else ()), *_lines(*selection))
    return Log(lines, ready, ended=ended, readable=bool(lines or newest_lines(*selection, count=1)))


def _lines(*selection: str) -> tuple[str, ...]:
    """Those that may tell of trouble, oldest first."""
    # With --grep and --lines journalctl gives them the other way round.
    newest_first = newest_lines(*selection, f"--grep={_TELLING}", "--case-sensitive=no", count=_MOST)
    return tuple(reversed(newest_first))


def _sentence(log: Log, what: str) -> str:
    before = "the server is ready, but its start was not clean" if log.ready else "the server is not ready"
    ended = f"its last run ended: {log.ended}" if log.ended else ""
    return ": ".join(part for part in (before, "; ".join(part for part in (ended, what) if part)) if part)


def _error(line: str) -> str:
    """The message of one of the application's own lines (JSON) that is an error; "" for any other line."""
    try:
        entry = json.loads(line)
        bad = str(entry["level"]).lower() in {"error", "fatal", "panic", "critical"}
        return str(entry.get("message") or entry.get("msg") or line) if bad else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
