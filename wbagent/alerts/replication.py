"""The alerts about the standby: it does not answer, it replicates no more, or it is too far behind."""

from __future__ import annotations

from typing import Final

from wbagent.alerts.condition import Condition
from wbagent.alerts.database import AWAY
from wbagent.alerts.network import NETWORK
from wbagent.alerts.watch import Seen
from wbagent.alerts.words import say
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.errors import DatabaseError
from wbagent.moment import Moment
from wbagent.monitor.reach import Reach
from wbagent.monitor.replication import Lag, Note, Standby, read_primary, read_standby
from wbagent.monitor.rules import Severity
from wbagent.monitor.sample import Sample
from wbagent.quantities import format_duration

STANDBY: Final = "standby-away"
STOPPED: Final = "replication-stopped"
LAG: Final = "replication-lag"
# A restart of either server takes less, and the replica connects again within a minute.
_FOR_S: Final = 90.0


class ReplicationWatch:
    """The replica that [standby] names."""

    kinds = frozenset({STANDBY, STOPPED, LAG})

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lag = Lag()
        self._of = ("", "")

    def every(self, settings: Settings) -> float | None:
        """As [monitor.replication] says, where a standby is named."""
        replication = settings.monitor.replication
        wanted = replication.enabled and settings.standby and settings.database_url()
        return replication.every if wanted else None

    def look(self, settings: Settings, now: Moment) -> Seen:
        """The primary first: what it had done then, the replica may hold by now."""
        primary, standby = settings.database_url(), settings.standby
        if primary is None or standby is None:
            return Seen()
        if (primary.address, standby.url.address) != self._of:
            self._of, self._lag = (primary.address, standby.url.address), Lag()
        away, no_lag, note = "", "", None
        try:
            done = read_primary(primary, self._lag)
            if not done.goes_on:
                # Another server, or one that was set up anew: what was noted of it before will never arrive.
                self._lag = Lag()
            if done.executed is None:
                no_lag = say(settings.alerts.language, f"{LAG}.no_gtid")
            else:
                note = Note(now, done.executed)
        except DatabaseError as error:
            no_lag = error.message
        seen: Standby | None = None
        hint = ""
        try:
            seen = read_standby(standby.url, self._lag.notes(note) if note else ())
            self._reach.note(standby.url.host, True, now)
            if note:
                self._lag = self._lag.then(note, seen.held)
        except DatabaseError as error:
            away, hint = error.message, error.hint
            if note:
                # When it is back, it lacks what was done meanwhile.
                self._lag = self._lag.then(note, 0)
            self._reach.note(standby.url.host, error.reached, now)
        lag = self._value(settings, now) if seen and note else None
        samples = () if lag is None else (Sample("wbagent_replication_lag_seconds", lag),)
        return Seen(conditions(settings, standby.url, away, hint, seen, lag, no_lag), samples)

    def _value(self, settings: Settings, now: Moment) -> float | None:
        """Seconds; after a restart of the agent None until it is known, or known to be too much."""
        known = self._lag.seconds(now)
        at_least = self._lag.at_least(now)
        return at_least if known is None and at_least >= settings.monitor.replication.lag else known


def conditions(
    settings: Settings, standby: MysqlURL, away: str, hint: str, seen: Standby | None, lag: float | None, no_lag: str
) -> tuple[Condition, ...]:
    """`away` (with a hint): why the standby does not answer; `seen` is None then. `no_lag`: why the lag is unknown."""
    language, limits = settings.alerts.language, settings.monitor.replication
    threads = seen.threads if seen else None
    address = {"address": standby.address}
    stopped = say(language, f"{STOPPED}.{threads.stopped}") if threads and threads.stopped else ""
    return (
        Condition(
            STANDBY,
            float(bool(away)),
            for_seconds=_FOR_S,
            every=limits.every,
            because_of=(NETWORK,),
            facts=address | {"reason": away, "hint": hint or say(language, f"{AWAY}.mend")},
        ),
        Condition(
            STOPPED,
            None if threads is None else float(bool(threads.stopped)),
            severity=Severity.CRITICAL,
            for_seconds=_FOR_S,
            every=limits.every,
            because_of=(NETWORK, AWAY, STANDBY),
            facts=address | {"what": stopped, "reason": threads.why if threads else ""},
            no_data=away or say(language, f"{STOPPED}.no_grant", {"user": standby.user}),
        ),
        Condition(
            LAG,
            lag,
            limits.lag,
            measured_in="seconds",
            for_seconds=limits.every,
            resolve_for=60.0,
            every=limits.every,
            because_of=(NETWORK, AWAY, STANDBY, STOPPED),
            facts=address | {"lag": format_duration(lag or 0.0), "limit": format_duration(limits.lag)},
            no_data=away or no_lag or say(language, f"{LAG}.not_yet"),
        ),
    )
