"""How old the newest good backup is: a pure account that outlives restarts, reboots and clocks that are set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from wbagent.moment import Moment

# Where the state file keeps the Watch.
WATCH_FACT: Final = "backup.watch"


@dataclass(frozen=True, slots=True)
class Good:
    """A backup that counts; `finished_at`: wall-clock seconds since the epoch."""

    id: str
    finished_at: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered between two looks.

    `wanted_since`: since when backups are wanted in `place` (None: they are not). `good_since`: when the newest good
    one, `good`, was finished.
    """

    place: str = ""
    wanted_since: Moment | None = None
    good: str = ""
    good_since: Moment | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        moments = {"wanted_since": self.wanted_since, "good_since": self.good_since}
        texts = {"place": self.place, "good": self.good}
        return texts | {name: moment.to_json() if moment else None for name, moment in moments.items()}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """What `to_json` gave."""
        wanted, good = (
            Moment.from_json(value[name]) if value[name] else None for name in ("wanted_since", "good_since")
        )
        return cls(str(value["place"]), wanted, str(value["good"]), good)


def look(before: Watch, place: str, good: Good | None, now: Moment) -> Watch:
    """What to remember after a look at `now`: backups are wanted in `place` ("": nowhere), `good` is the newest there.

    Invariant, for `age` of the answer, with looks at any times and in any number:

    1. within one boot it grows as time does, whatever the wall clock is set to, from what it was when that backup was
       first seen;
    2. it is never more than the time since backups were first wanted in this place, so a new host, a new destination
       and a lost state file have as long as any backup may take;
    3. where nobody can know how long a host was off (the clock was set back across a reboot), it begins anew.
    """
    if not place:
        return Watch()
    watch = before if before.place == place else Watch(place)
    if watch.wanted_since is None or now.since(watch.wanted_since) is None:
        watch = replace(watch, wanted_since=now)
    if good is None:
        return replace(watch, good="", good_since=None)
    if watch.good == good.id and watch.good_since is not None and now.since(watch.good_since) is not None:
        return watch
    behind = max(0.0, now.wall - good.finished_at)
    return replace(watch, good=good.id, good_since=Moment(now.wall - behind, now.boottime - behind, now.boot_id))


def age(watch: Watch, now: Moment) -> float | None:
    """For how many seconds there has been no newer good backup; None where none is wanted."""
    since = [moment for moment in (watch.wanted_since, watch.good_since) if moment is not None]
    return min((now.since(moment) or 0.0 for moment in since), default=None)
