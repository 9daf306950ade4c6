"""`wbagent status`: one page for a tired operator; reads units and state directory, so it works without the agent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from wbagent.agent import overview as facts
from wbagent.agent import story
from wbagent.agent.overview import Overview
from wbagent.alerts.states import firing_titles, silenced_titles, stored
from wbagent.cli.context import config_path
from wbagent.errors import AccessError, BusError, StateError, WbagentError
from wbagent.quantities import format_duration, format_size
from wbagent.state import State
from wbagent.systemd.bus import Bus


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show server, database, last backup and alerts.

    Exit status 0: all is well; 3: something needs a person; 4: this user may not read enough to tell (as LSB has them).
    """
    overview, now = _read(), time.time()
    overview = replace(overview, blind=story.said_blind(overview.agent))
    if as_json:
        click.echo(json.dumps(facts.as_json(overview, now), indent=2, ensure_ascii=False))
    else:
        for name, line in page_lines(overview, now, server=server_belongs(overview, config_path(ctx))):
            click.echo(f"{name:<9} {line}")
    if facts.CONFIG_FACT not in overview.facts:
        ctx.exit(4)
    ctx.exit(0 if well(overview) else 3)


def _read() -> Overview:
    unreadable = ""
    try:
        bus = Bus()
    except BusError as error:
        bus, unreadable = None, error.message
    try:
        with State(read_only=True) as state:
            alerts = stored(state)
            return facts.gather(bus, state, firing_titles(alerts), unreadable, silenced=silenced_titles(alerts))
    except (AccessError, StateError) as error:
        return facts.gather(bus, None, (), unreadable or f"{error.message}; try: {error.hint}")


def server_belongs(overview: Overview, config: Path) -> bool:
    """Whether this host has a server: as the agent noted, else as `config` says, else as its unit looks."""
    if (configured := overview.facts.get(facts.CONFIG_FACT)) is not None:
        return bool(configured.value.get("server", True))
    from wbagent.config import load  # noqa: PLC0415 - pydantic takes 100 ms, and mostly the agent has noted it

    try:
        return load(config, sealed=True).settings.server is not None
    except WbagentError:
        unit = overview.server
        return unit is not None and (unit.enabled or unit.active != "inactive")


def page_lines(overview: Overview, now: float, *, server: bool) -> Iterator[tuple[str, str]]:
    """The page: what each line is about, and the line. `server`: whether this host has one."""
    agent = overview.agent
    up = agent is not None and agent.serving
    yield "agent", _agent_line(overview, now)
    configured = overview.facts.get(facts.CONFIG_FACT)
    parts = configured.value if configured else {}
    if refused := parts.get("refused"):
        yield "config", f"REFUSED, the old one is in use: {refused}"
    if overview.unconfigured:
        yield "config", story.NOTHING_YET
    if server:
        yield "server", story.server_line(overview.server, now).removeprefix("server ")
        if overview.server is not None and overview.server.text:
            yield "", overview.server.text
        yield from (("", note) for note in story.server_notes(overview, now))
        if end := overview.last_end:
            ago = format_duration(max(now - end.at, 0.0))
            yield "", f"last unasked end {ago} ago: {end.sentence()}"
    database = overview.facts.get(facts.DATABASE_FACT)
    if database is not None and parts.get("database", True):
        seen = f"seen {format_duration(max(now - database.at, 0.0))} ago" + ("" if up else ", the agent is down since")
        yield "database", f"{database.value['text']} ({seen})"
        if database.value.get("elsewhere"):
            yield "", "its processors and disks are not seen from here: that host needs a wbagent of its own"
    if configured is None:
        yield "", "database, backups and alerts are unknown"
    else:
        if parts.get("backup"):
            yield from _backup_lines(overview, now)
        yield from _binlog_lines(overview, now)
        yield from alert_lines(overview)
    if overview.unreadable:
        yield "note", overview.unreadable


def alert_lines(overview: Overview) -> Iterator[tuple[str, str]]:
    """What fires, what a person silenced, and whether anybody would be told."""
    if overview.blind:
        yield "alerts", f"{story.BLIND}, nobody is told of anything: {overview.blind}"
        yield "", "try: df -h /var/lib/wbagent, and make room there"
    if overview.firing or not overview.blind:
        firing = "; ".join(overview.firing) or ("none told" if overview.silenced else "none")
        yield ("" if overview.blind else "alerts"), firing
    if overview.silenced:
        yield "", f"{len(overview.silenced)} silenced: {'; '.join(overview.silenced)} (wbagent alerts list)"


def _agent_line(overview: Overview, now: float) -> str:
    agent = overview.agent
    if agent is None:
        return "unknown"
    if not agent.serving:
        return f"NOT RUNNING ({agent.active}): nothing is watched, no backup is started; systemctl status wbagent"
    return f"running for {format_duration(max(now - agent.since, 0.0))}"


def _backup_lines(overview: Overview, now: float) -> Iterator[tuple[str, str]]:
    yield "backup", story.backup_line(overview, now).removeprefix("backup ")
    if overview.backup is not None and overview.backup.active == "activating" and overview.backup.text:
        yield "", overview.backup.text
    last = overview.facts.get(facts.BACKUP_FACT)
    if last is not None:
        value = last.value
        took = format_duration(float(value["duration_s"]))
        yield "", f"{value['id']}: {format_size(int(value['stored_bytes']))} in {took} to {value['destination']}"
        yield from (("", f"warning: {warning}") for warning in value.get("warnings", ()))
    if overview.drill is not None and overview.drill.active == "activating" and overview.drill.text:
        yield "", f"drill: {overview.drill.text}"
    drills = overview.facts[facts.CONFIG_FACT].value.get("drill", True)
    if not drills:
        yield "", "drills are off, so nothing shows that a backup restores: [backup.drill] enabled = false"
    elif (made := overview.facts.get(facts.DRILL_FACT)) is not None and made.value["result"] == "no mysqld":
        yield "", f"try: {made.value['hint']}"
    if drills and (drill := overview.drill_failure) is not None:
        yield "", f"drill failed {format_duration(max(now - drill.at, 0.0))} ago: {drill.value['reason']}"
        yield "", f"try: {drill.value['hint']}"
    if (failure := overview.backup_failure) is not None:
        ago = format_duration(max(now - failure.at, 0.0))
        yield "", f"failed {ago} ago: {failure.value['reason']}"
        if hint := failure.value.get("hint"):
            yield "", f"try: {hint}"


def _binlog_lines(overview: Overview, now: float) -> Iterator[tuple[str, str]]:
    parts = overview.facts[facts.CONFIG_FACT].value
    if parts.get("binlog"):
        yield "binlogs", story.binlog_line(overview, now)
        report = overview.binlogs
        for note in (report.hint and f"try: {report.hint}", report.backup) if report else ():
            if note:
                yield "", note
    elif parts.get("backup") and not parts.get("embedded"):
        yield "", "work since the newest backup would be lost with the database: [backup.binlog] enabled = false"


def well(overview: Overview) -> bool:
    """Whether nothing needs a person, of what this host is set up for."""
    configured = overview.facts.get(facts.CONFIG_FACT)
    # What is left of a part that this host has no more concerns nobody.
    parts = configured.value if configured else {}
    serving = overview.server is not None and overview.server.serving
    agent = overview.agent is not None and overview.agent.serving
    backup_failed = bool(parts.get("backup")) and overview.backup_failure is not None
    backup_failed |= bool(parts.get("drill")) and overview.drill_failure is not None
    database = overview.facts.get(facts.DATABASE_FACT)
    database_away = bool(parts.get("database")) and database is not None and not database.value["ok"]
    refused = bool(parts.get("refused"))
    troubles = bool(overview.firing) or backup_failed or database_away or refused or overview.upgrade.needs_person
    binlog_down = overview.binlog is not None and overview.binlog.active == "failed"
    troubles = troubles or binlog_down or bool(overview.blind)
    return agent and (serving or not parts.get("server")) and not troubles and not overview.unconfigured
