"""A digest: what has waited for a destination, as one message instead of a flood."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from wbagent.alerts.message import Kind, Message, shortened
from wbagent.alerts.outbox import Waiting
from wbagent.alerts.words import say

# So many messages at once are a flood, unless all are news; else each is told whole.
FROM: Final = 6
NEWS_S: Final = 600.0
_MOST_LINES: Final = 15
_LONGEST_LINE: Final = 100
_ORDER: Final = {"critical": 0, "warning": 1, "info": 2}


def digest(rows: Sequence[Waiting], now: float, language: str) -> Message | None:
    """One message in place of what is due to one destination (oldest first); None where that is not too much.

    Invariant: every alert is named once, with its newest word, when it began to wait and how it stands; what still
    fires stands first, the worst on top. What finds no room is counted.
    """
    if len(rows) < FROM or now - rows[0].created_at < NEWS_S:
        return None
    threads: dict[str, list[Waiting]] = {}
    for row in rows:
        threads.setdefault(row.message.fingerprint, []).append(row)
    newest = sorted(threads.values(), key=lambda thread: (_rank(thread[-1].message), thread[-1].created_at))
    lines = [_line(thread, language) for thread in newest[:_MOST_LINES]]
    if len(newest) > _MOST_LINES:
        lines.append(say(language, "digest.more", {"count": len(newest) - _MOST_LINES}))
    worst = newest[0][-1].message
    facts = {"count": len(rows), "since": _clock(rows[0].created_at)}
    return Message(
        fingerprint="digest",
        kind=Kind.DIGEST,
        severity="info" if worst.kind is Kind.RESOLVED else worst.severity,
        title=say(language, "digest.title", facts),
        what="\n".join(lines),
        host=socket.gethostname(),
        at=now,
        why=say(language, "digest.why"),
        look=say(language, "digest.look"),
        language=language,
    )


def _rank(message: Message) -> tuple[bool, int]:
    return message.kind is Kind.RESOLVED, _ORDER[message.severity]


def _line(thread: Sequence[Waiting], language: str) -> str:
    last = thread[-1].message
    mark = say(language, "_.resolved" if last.kind is Kind.RESOLVED else f"_.{last.severity}")
    first, newest = _clock(thread[0].message.since or thread[0].message.at), _clock(last.at)
    span = first if first == newest else f"{first} - {newest}"
    return shortened(f"[{mark}] {span} {last.title}", _LONGEST_LINE)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%m-%d %H:%M}"
