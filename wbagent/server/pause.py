"""A pause for maintenance: until it ends by itself, probes restart nothing and the server raises no alerts."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self

from wbagent.durable import whole_file
from wbagent.moment import Moment
from wbagent.quantities import format_duration
from wbagent.server.supervision import Decision
from wbagent.state_directory import state_directory

# A pause that somebody forgot must not leave a server without supervision for good.
LONGEST_S: Final = 7 * 86400.0

_HELD: Final = {
    Decision.RESTART: Decision.WAIT,
    Decision.REOPEN_PORT: Decision.WAIT,
    Decision.AWAIT_DOCKER: Decision.WAIT,
    Decision.GIVE_UP_START: Decision.EXTEND_START,
}


@dataclass(frozen=True, slots=True)
class Pause:
    """Why, by whom, from when and for how many seconds; `resumed` when a person ended it early."""

    why: str
    by: str
    begun: Moment
    seconds: float
    resumed: bool = False

    @property
    def key(self) -> str:
        """What no other pause has."""
        return f"{self.begun.boot_id}:{self.begun.boottime}"

    def left(self, now: Moment) -> float | None:
        """Seconds until it ends by itself; None when it is over.

        Invariant: it ends, whatever happens: restarts, reboots, a clock set back across one (that ends it at once,
        since supervision is what must not get lost).
        """
        elapsed = now.since(self.begun)
        if self.resumed or elapsed is None or elapsed >= self.seconds:
            return None
        return self.seconds - elapsed

    def sentence(self, left: float) -> str:
        """For a status page, with the seconds left."""
        return f"PAUSED for {format_duration(left)} more by {self.by}: {self.why} (wbagent server resume ends it)"

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `write` stored."""
        begun, seconds = Moment.from_json(value["begun"]), float(value["seconds"])
        return cls(str(value["why"]), str(value["by"]), begun, seconds, bool(value["resumed"]))


def hold(decision: Decision, *, paused: bool) -> Decision:
    """What is left of the runner's decision during a pause.

    Invariant: nothing that was decided from probes ends the container, everything else stays. The count of failures
    goes on, so a server that is still dead is restarted at the first failed probe after the pause.
    """
    return _HELD.get(decision, decision) if paused else decision


class News(Enum):
    """What the journal is told."""

    BEGAN = "began"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Told:
    """What the journal was told last: of which pause, and whether as begun (`active`) or as ended."""

    key: str = ""
    active: bool = False


def news(told: Told, pause: Pause | None, now: Moment) -> tuple[Told, tuple[News, ...]]:
    """One look at the pause.

    Invariant: what is told alternates BEGAN and ENDED, each pause is told, also one that began and ended between two
    looks (a later one may have replaced it), and nothing is told twice, however often this is asked.
    """
    active = pause is not None and pause.left(now) is not None
    if pause is None or pause.key == told.key:
        if active is told.active:
            return told, ()
        return replace(told, active=active), (News.BEGAN,) if active else (News.ENDED,)
    before = (News.ENDED,) if told.active else ()
    after = () if active else (News.ENDED,)
    return Told(pause.key, active), (*before, News.BEGAN, *after)


def pause_path() -> Path:
    """Where it is: beside the history, readable for the runner by its group."""
    return state_directory() / "server" / "pause.json"


def read(path: Path | None = None) -> Pause | None:
    """The last pause, over or not; None when there is none, or none that can be understood. Raises PermissionError."""
    try:
        return Pause.from_json(json.loads((path or pause_path()).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None


def write(pause: Pause, path: Path | None = None) -> None:
    """Store it, whole or not at all. Raises OSError."""
    value = {field.name: getattr(pause, field.name) for field in fields(pause)} | {"begun": pause.begun.to_json()}
    with whole_file(path or pause_path(), 0o640) as file:
        file.write(json.dumps(value, ensure_ascii=False).encode())


def current(now: Moment) -> tuple[Pause, float] | None:
    """The pause that lasts, with the seconds left; None when there is none or this user may not know."""
    try:
        pause = read()
    except OSError:
        return None
    left = pause.left(now) if pause else None
    return (pause, left) if pause is not None and left is not None else None
