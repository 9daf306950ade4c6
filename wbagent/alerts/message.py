"""One message to a person: what happened, why it matters, what to do; short enough to be read on a phone."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from wbagent.alerts.words import say
from wbagent.systemd import journal

# A notification on a phone's lock screen shows about this much; services cut longer titles themselves (SMS: 160).
_LONGEST_SUBJECT: Final = 100
_LONGEST_WHAT: Final = 300
_LONGEST_LINE: Final = 200
_LONGEST_DIGEST: Final = 2000


class Kind(StrEnum):
    """What a message tells: an alert begins (or lasts), ends, something happened once, a test, all that has waited."""

    FIRING = "firing"
    RESOLVED = "resolved"
    EVENT = "event"
    TEST = "test"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Message:
    """`fingerprint` names the alert: the same one has the same name. `at`: seconds since the epoch.

    `severity` is "critical", "warning" or "info". `title` says it in a few words, `what` in a sentence with figures;
    `why` says why it matters, `remedy` what to do, `look` is a command that shows more. None may hold a secret.
    `since`: when it began, in seconds since the epoch, 0 where that is `at`. `language`: that of the labels.
    """

    fingerprint: str
    kind: Kind
    severity: str
    title: str
    what: str
    host: str
    at: float
    why: str = ""
    remedy: str = ""
    look: str = ""
    since: float = 0.0
    language: str = "en"

    def subject(self) -> str:
        """One line: host and title, and how it stands."""
        mark = {Kind.RESOLVED: "resolved", Kind.TEST: "test"}.get(self.kind, self.severity)
        return shortened(f"[{say(self.language, f'_.{mark}')}] {self.host}: {self.title}", _LONGEST_SUBJECT)

    def body(self) -> str:
        """A few lines, never none (Apprise sends no empty text); parts that are empty take none."""
        since = f"{datetime.fromtimestamp(self.since).astimezone():%Y-%m-%d %H:%M %Z}" if self.since else ""
        labelled = (("since", since), ("why", self.why), ("do", self.remedy), ("look", self.look))
        lines = [
            shortened(f"{say(self.language, f'_.{label}')}: {text}", _LONGEST_LINE) for label, text in labelled if text
        ]
        longest = _LONGEST_DIGEST if self.kind is Kind.DIGEST else _LONGEST_WHAT
        return "\n".join([shortened(self.what or self.title, longest), *lines])

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self) | {"kind": self.kind.value}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave, also in a newer version; raises KeyError, TypeError or ValueError on anything else."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        return cls(**known | {"kind": Kind(value["kind"])})


def event(
    kind: str,
    facts: Mapping[str, object],
    at: float,
    language: str,
    *,
    fingerprint: str = "",
    severity: str = "warning",
    title: str = "",
    what: str = "",
    told_as: Kind = Kind.EVENT,
) -> Message:
    """The message about something that happened once, in the words of its table or those that are given."""
    return Message(
        fingerprint=fingerprint or kind,
        kind=told_as,
        severity=severity,
        title=title or say(language, f"{kind}.name", facts),
        what=what or say(language, f"{kind}.what", facts),
        host=socket.gethostname(),
        at=at,
        why=say(language, f"{kind}.why", facts),
        remedy=say(language, f"{kind}.remedy", facts),
        look=say(language, f"{kind}.look", facts),
        language=language,
    )


def shortened(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with an ellipsis when it is longer."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def write_to_journal(message: Message, message_id: str, **more: object) -> None:
    """The message as a journal event with its fields: there it is kept even where nobody can be reached."""
    good = message.kind in {Kind.RESOLVED, Kind.TEST}
    journal.send(
        f"{message.subject()}\n{message.body()}",
        level="info" if good else "error" if message.severity == "critical" else "warning",
        message_id=message_id,
        alert=message.fingerprint,
        kind=message.kind.value,
        severity=message.severity,
        host=message.host,
        since=f"{datetime.fromtimestamp(message.since).astimezone():%Y-%m-%dT%H:%M:%S%z}" if message.since else None,
        title=message.title,
        what=message.what,
        why=message.why or None,
        remedy=message.remedy or None,
        look=message.look or None,
        **more,
    )
