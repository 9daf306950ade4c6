"""What is told of an overview: the one line for `systemctl status`, and each of its parts in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from wbagent.agent.overview import (
    BACKUP_FACT,
    CONFIG_FACT,
    DATABASE_FACT,
    DRILL_FACT,
    NOT_YET_FACT,
    PROVEN_FACT,
    Overview,
    UnitState,
)
from wbagent.quantities import format_duration, format_size
from wbagent.server.embedded import NOT_FOR_PRODUCTION

NOTHING_YET: Final = (
    "nothing to do yet: set [server] or [database] in /etc/wbagent.toml, then systemctl reload wbagent; or wbagent init"
)
BLIND: Final = "ALERTS ARE BLIND"
_RESTART_NEEDED: Final = "a restart would apply changed settings: wbagent server diff"


def story(overview: Overview, configured: Mapping[str, bool], now: float) -> str:
    """One line for `systemctl status`: server, newest backup, alerts. `configured` tells which parts this host has."""
    if not any(configured.values()):
        return NOTHING_YET
    # First: whatever follows, nobody is told of it.
    parts = [f"{BLIND}: {overview.blind}"] if overview.blind else []
    if configured.get("server"):
        parts.append(server_line(overview.server, now))
        parts.extend(server_notes(overview, now))
    database = overview.facts.get(DATABASE_FACT)
    if configured.get("database") and database is not None and not database.value["ok"]:
        parts.append("database AWAY")
    if configured.get("backup"):
        parts.append(backup_line(overview, now))
    if configured.get("binlog"):
        parts.append(f"binary logs: {binlog_line(overview, now)}")
    if overview.firing or not overview.blind:
        silenced = f" ({len(overview.silenced)} silenced)" if overview.silenced else ""
        parts.append((f"ALERT: {'; '.join(overview.firing)}" if overview.firing else "no alerts") + silenced)
    return " | ".join(parts)


def said_blind(agent: UnitState | None) -> str:
    """Why the agent's alerts are blind, by its story: when its state file fails, that is all that others can read."""
    parts = agent.text.split(" | ") if agent else []
    return next((part.removeprefix(f"{BLIND}: ") for part in parts if part.startswith(BLIND)), "")


def server_line(server: UnitState | None, now: float) -> str:
    """The server in a few words."""
    if server is None:
        return "server unknown"
    age = format_duration(max(now - server.since, 0.0)) if server.since else ""
    match server.active:
        case "active" | "reloading":
            restarts = f", restarted {server.restarts}x" if server.restarts else ""
            return f"server serving for {age}{restarts}"
        case "activating":
            return f"server starting ({server.text or server.sub})"
        case "failed":
            return "server FAILED"
        case "deactivating":
            return "server stopping"
        case _:
            return "server not running" + ("" if server.enabled else " (systemctl enable --now wandb-local)")


def server_notes(overview: Overview, now: float) -> Iterator[str]:
    """What else there is to say of the server, each in a few words."""
    if overview.closed:
        yield f"CLOSED to its users: {overview.closed}"
    if (lost := overview.unready) is not None and overview.server is not None and overview.server.serving:
        lasted = format_duration(max(now - lost.at, 0.0) + lost.seconds)
        yield f"alive but NOT READY for {lasted} ({lost.probe}): wbagent server history 1"
    if overview.embedded:
        yield NOT_FOR_PRODUCTION
    if overview.paused:
        yield overview.paused
    if overview.upgrade.text:
        yield overview.upgrade.text
    if overview.restart_needed and overview.server is not None and overview.server.serving:
        yield _RESTART_NEEDED


def backup_line(overview: Overview, now: float) -> str:
    """The newest backup in a few words."""
    running = overview.backup is not None and overview.backup.active == "activating"
    last = overview.facts.get(BACKUP_FACT)
    if last is None:
        waiting = overview.facts.get(NOT_YET_FACT)
        if waiting is not None and overview.backup_failure is None:
            return f"no backup yet: {waiting.value['reason'].removeprefix('nothing to back up yet: ')}"
        return "first backup is being made" if running else "no backup yet"
    age = format_duration(max(now - float(last.value["finished_at"]), 0.0))
    where = "off-site" if last.value["off_site"] else "NOT off-site"
    line = f"backup {age} ago, {format_size(int(last.value['stored_bytes']))}, {where}"
    if proof := proof_words(overview):
        line += f", {proof}"
    if overview.backup_failure is not None:
        line += ", but the latest try FAILED"
    return line + (", another is being made" if running else "")


def proof_words(overview: Overview) -> str:
    """Whether the newest backup is proven, in a few words; "" where drills are switched off."""
    last, proven = overview.facts.get(BACKUP_FACT), overview.facts.get(PROVEN_FACT)
    configured, drill = overview.facts.get(CONFIG_FACT), overview.facts.get(DRILL_FACT)
    if last is not None and proven is not None and proven.value.get("id") == last.value["id"]:
        image = proven.value.get("image")
        return f"proven (in {image})" if image else "proven"
    if configured is None or not configured.value.get("drill"):
        return ""
    if overview.drill is not None and overview.drill.active == "activating":
        return "is being proven"
    if drill is not None and drill.value["result"] == "no mysqld":
        return "not proven: no mysqld on this host"
    return "NOT PROVEN: the drill failed" if overview.drill_failure else "not proven yet"


def binlog_line(overview: Overview, now: float) -> str:
    """How far binary logs are stored, in a few words."""
    report, unit = overview.binlogs, overview.binlog
    if unit is not None and not unit.serving:
        since = f" since {format_duration(report.lag(now))} ago" if report and report.lag(now) else ""
        return f"NOT STORED{since}, the unit is {unit.active} (systemctl status wbagent-binlog)"
    return report.line(now) if report else "the first are being stored"
