"""Whether the unit that stores binary logs is to be started, stopped or restarted: a pure decision."""

from __future__ import annotations

from wbagent.agent.overview import UnitState
from wbagent.systemd.bus import Verb


def binlog_verb(unit: UnitState, *, wanted: bool, changed: bool) -> Verb | None:
    """What to do with wbagent-binlog.service; `changed`: its part of the configuration is another than when it began.

    Invariant: a unit that failed (its configuration is wrong) is started again only after a change; one that systemd
    starts again by itself is left to that; one that is not wanted never keeps running.
    """
    runs = unit.active in {"active", "activating", "reloading"}
    if not wanted:
        return Verb.STOP if runs else None
    if changed and (runs or unit.active == "failed"):
        return Verb.RESTART
    return Verb.START if unit.active == "inactive" else None
