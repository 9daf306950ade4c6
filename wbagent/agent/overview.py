"""What is known of this host at one moment, from the units' properties and the state directory alone.

Both the agent's STATUS= line and `wbagent status` are made from it, so they never disagree, and the latter works when
the agent is down.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from wbagent.binlog import lag
from wbagent.binlog.lag import Report
from wbagent.errors import WbagentError
from wbagent.moment import Moment
from wbagent.monitor import backup_facts
from wbagent.monitor.freshness import WATCH_FACT
from wbagent.server import door, history, pause
from wbagent.server.diff import restart_needed
from wbagent.server.outages import Outage, outages
from wbagent.state import AGENT_CONFIG, Fact, State
from wbagent.systemd.bus import Properties
from wbagent.systemd.unit_names import AGENT_UNIT, BACKUP_UNIT, BINLOG_UNIT, DRILL_UNIT, SERVER_UNIT, UPGRADE_UNIT
from wbagent.upgrade import account
from wbagent.upgrade.account import NO_NOTE, Note

DATABASE_FACT: Final = "database"
BACKUP_FACT: Final = backup_facts.LAST
BACKUP_FAILURE_FACT: Final = backup_facts.LAST_FAILURE
NOT_YET_FACT: Final = backup_facts.NOT_YET
ATTEMPT_FACT: Final = "backup.attempt"
DRILL_FACT: Final = backup_facts.DRILL
PROVEN_FACT: Final = backup_facts.PROVEN
CONFIG_FACT: Final = AGENT_CONFIG
BINLOG_FACT: Final = lag.FACT
WANTED_FACT: Final = "server.wanted"

_UNREADABLE: Final = "the state directory is readable by root and the groups wbagent and systemd-journal only"
_UP: Final = frozenset({"active", "reloading"})


class Source(Protocol):
    """Where units' properties come from: the bus, or what was read from it."""

    def properties(self, unit: str) -> Properties:
        """As `Bus.properties`."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """A unit as systemd sees it. `since` is wall-clock seconds of the last change, 0 when there was none."""

    active: str
    sub: str
    enabled: bool
    text: str
    restarts: int
    since: float

    @property
    def serving(self) -> bool:
        """Whether a notify unit has said READY."""
        return self.active in _UP


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything a status line or page tells. What could not be read is None, and `unreadable` says why."""

    server: UnitState | None
    agent: UnitState | None
    backup: UnitState | None
    last_end: history.Record | None
    facts: Mapping[str, Fact]
    firing: tuple[str, ...]
    unreadable: str = ""
    restart_needed: bool = False
    paused: str = ""
    unready: history.Record | None = None
    upgrade: Note = NO_NOTE
    closed: str = ""
    drill: UnitState | None = None
    binlog: UnitState | None = None
    outages: tuple[Outage, ...] = ()
    blind: str = ""
    silenced: tuple[str, ...] = ()

    @property
    def outage(self) -> Outage | None:
        """The one that lasts, as the history tells it."""
        return self.outages[-1] if self.outages and self.outages[-1].over is None else None

    @property
    def last_outage(self) -> Outage | None:
        """The newest that is over."""
        return next((one for one in reversed(self.outages) if one.over is not None), None)

    @property
    def binlogs(self) -> Report | None:
        """What the unit that stores binary logs noted last."""
        fact = self.facts.get(BINLOG_FACT)
        try:
            return Report.from_json(fact.value) if fact else None
        except (TypeError, AttributeError):
            # Of another release: the unit notes a new one within seconds.
            return None

    @property
    def embedded(self) -> bool:
        """Whether the server runs its own MySQL and object store."""
        configured = self.facts.get(CONFIG_FACT)
        return configured is not None and bool(configured.value.get("embedded"))

    @property
    def unconfigured(self) -> bool:
        """Whether the agent found nothing to do on this host; what it found is not known before its first look."""
        parts = self.facts.get(CONFIG_FACT)
        return parts is not None and not any(wanted for name, wanted in parts.value.items() if name != "refused")

    @property
    def backup_failure(self) -> Fact | None:
        """The last failure, when no backup came after it, nor the word that there is nothing to back up yet."""
        failure = self.facts.get(BACKUP_FAILURE_FACT)
        newer = (self.facts.get(name) for name in (BACKUP_FACT, NOT_YET_FACT))
        return None if failure is None or any(fact and fact.at >= failure.at for fact in newer) else failure

    @property
    def drill_failure(self) -> Fact | None:
        """The last drill, when it failed and no other has succeeded since."""
        drill, proven = self.facts.get(DRILL_FACT), self.facts.get(PROVEN_FACT)
        if drill is None or drill.value["result"] not in {"disproven", "not done"}:
            return None
        return drill if proven is None or drill.at > proven.at else None


# What the agent reads of the units that it watches: systemd tells 453 properties of each, and six units fill 2.7 MB.
READ: Final = (
    "ActiveEnterTimestamp",
    "ActiveState",
    "NRestarts",
    "StateChangeTimestamp",
    "StatusText",
    "SubState",
    "UnitFileState",
)


def unit_state(properties: Properties) -> UnitState:
    """The properties that matter here, all of them in READ."""
    active = str(properties.get("ActiveState", "inactive"))
    return UnitState(
        active=active,
        sub=str(properties.get("SubState", "dead")),
        enabled=properties.get("UnitFileState") in {"enabled", "enabled-runtime"},
        # systemd keeps the last word of a unit that has ended, which is not about now.
        text=str(properties.get("StatusText", "")) if active not in {"inactive", "failed"} else "",
        restarts=int(properties.get("NRestarts", 0)),
        # Unlike the last change of state, the beginning of "active" is the same after a reload.
        since=int(properties.get("ActiveEnterTimestamp" if active in _UP else "StateChangeTimestamp", 0)) / 1e6,
    )


def gather(
    bus: Source | None,
    state: State | None,
    firing: tuple[str, ...] = (),
    unreadable: str = "",
    *,
    silenced: tuple[str, ...] = (),
    blind: str = "",
) -> Overview:
    """Read it all; what one source refuses leaves the others' part."""
    units: dict[str, UnitState | None] = {}
    for unit in (SERVER_UNIT, AGENT_UNIT, BACKUP_UNIT, BINLOG_UNIT, DRILL_UNIT, UPGRADE_UNIT):
        try:
            units[unit] = unit_state(bus.properties(unit)) if bus else None
        except WbagentError as error:
            units[unit], unreadable = None, error.message
    try:
        records = history.read()
    except PermissionError:
        records, unreadable = (), _UNREADABLE
    names = (DATABASE_FACT, BACKUP_FACT, BACKUP_FAILURE_FACT, NOT_YET_FACT, ATTEMPT_FACT, DRILL_FACT, PROVEN_FACT,
             CONFIG_FACT, WANTED_FACT, WATCH_FACT, BINLOG_FACT)  # fmt: skip
    facts = {name: fact for name in names if state and (fact := state.get(name))}
    return Overview(
        units[SERVER_UNIT],
        units[AGENT_UNIT],
        units[BACKUP_UNIT],
        next((record for record in reversed(records) if record.is_end), None),
        facts,
        firing,
        unreadable,
        WANTED_FACT in facts and restart_needed(records, facts[WANTED_FACT].value),
        paused[0].sentence(paused[1]) if (paused := pause.current(Moment.now())) else "",
        history.unready(records),
        account.note(time.time(), at_work=_works(units[UPGRADE_UNIT])),
        door.closed(),
        binlog=units[BINLOG_UNIT],
        drill=units[DRILL_UNIT],
        outages=outages(records),
        blind=blind,
        silenced=silenced,
    )


def _works(job: UnitState | None) -> bool:
    return job is not None and job.active == "activating"


def as_json(overview: Overview, now: float) -> dict[str, Any]:
    """The page of `wbagent status --json`: unit states, facts with ages in seconds, firing alerts."""

    def unit(state: UnitState | None) -> dict[str, Any] | None:
        if state is None:
            return None
        return {"state": state.active, "sub": state.sub, "enabled": state.enabled, "text": state.text,
                "restarts": state.restarts, "since": state.since}  # fmt: skip

    end = overview.last_end
    return {
        "server": unit(overview.server),
        "restart_needed": overview.restart_needed,
        "paused": overview.paused or None,
        "unready": {"at": lost.at - lost.seconds, "probe": lost.probe} if (lost := overview.unready) else None,
        "upgrade": overview.upgrade.text or None,
        "embedded": overview.embedded,
        "closed": overview.closed or None,
        "agent": unit(overview.agent),
        "backup": unit(overview.backup),
        "binlog": unit(overview.binlog),
        "binlog_lag_s": round(report.lag(now), 1) if (report := overview.binlogs) else None,
        "drill": unit(overview.drill),
        "last_end": {"at": end.at, "reason": str(end.reason), "detail": end.detail, "exit_code": end.exit_code,
                     "oom_killed": end.oom_killed, "probe": end.probe, "log": list(end.log)} if end else None,
        "facts": {name: {"value": fact.value, "age_s": round(now - fact.at, 1)}
                  for name, fact in overview.facts.items()},
        "firing": list(overview.firing),
        "silenced": list(overview.silenced),
        "blind": overview.blind or None,
        "unreadable": overview.unreadable,
    }  # fmt: skip
