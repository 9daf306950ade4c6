"""Everything that Prometheus gets to know of a host, from what the agent saw last: pure functions."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence

from wbagent import __version__
from wbagent.agent import overview
from wbagent.agent.overview import Overview
from wbagent.alerts.blind import KIND
from wbagent.alerts.states import StoredAlert
from wbagent.monitor.sample import Sample


def host_samples(seen: Overview | None, configured: Mapping[str, bool], now: float) -> Iterator[Sample]:
    """Of the agent, and of each part of the product that this host is set up for; what is not known is left out.

    `seen` is None while systemd cannot be reached. `now`: wall-clock seconds.
    """
    yield Sample("wbagent_build_info", 1.0, (("python", platform.python_version()), ("version", __version__)))
    if seen is None:
        return
    noted = seen.facts.get(overview.CONFIG_FACT)
    if noted is not None:
        yield Sample("wbagent_config_refused", float(bool(noted.value.get("refused"))))
    if configured["server"]:
        yield from _server(seen, now)
    if configured["database"] and (database := seen.facts.get(overview.DATABASE_FACT)):
        yield Sample("wbagent_database_up", float(bool(database.value["ok"])))
    if configured["backup"] and seen.backup is not None:
        yield Sample("wbagent_backup_running", float(seen.backup.active == "activating"))
    if configured["binlog"] and (report := seen.binlogs):
        yield from report.samples(now)


def _server(seen: Overview, now: float) -> Iterator[Sample]:
    server = seen.server
    if server is None:
        return
    yield Sample("wbagent_server_up", float(server.serving))
    yield Sample("wbagent_server_ready", float(server.serving and seen.unready is None))
    yield Sample("wbagent_server_enabled", float(server.enabled))
    yield Sample("wbagent_server_paused", float(bool(seen.paused)))
    yield Sample("wbagent_server_restart_needed", float(seen.restart_needed))
    yield Sample("wbagent_server_restarts_total", float(server.restarts))
    if server.serving:
        yield Sample("wbagent_server_start_time_seconds", server.since)
    if (end := seen.last_end) is not None:
        yield Sample("wbagent_server_last_end_timestamp_seconds", end.at)
        yield Sample("wbagent_server_last_end_info", 1.0, (("reason", end.reason.value),))
    if server.serving:
        yield Sample("wbagent_server_outage_seconds", 0.0)
    elif seen.outage is not None and (lasts := seen.outage.seconds(now)) is not None:
        yield Sample("wbagent_server_outage_seconds", lasts)
    if seen.last_outage is not None and (lasted := seen.last_outage.seconds(now)) is not None:
        yield Sample("wbagent_server_last_outage_seconds", lasted)


def alert_samples(alerts: Sequence[StoredAlert], waiting: int, *, blind: bool = False) -> Iterator[Sample]:
    """What fires, by name and severity, and how many messages wait to be delivered.

    `blind`: alerts cannot be kept, which is one that fires and is in no state file.
    """
    firing = [alert for alert in alerts if alert.state.fires]
    for alert in firing:
        kind, _, about = alert.fingerprint.partition(":")
        labels = (("about", about), ("alert", kind), ("held", alert.held_by), ("severity", alert.severity.value))
        yield Sample("wbagent_alert_firing", 1.0, labels)
    if blind:
        labels = (("about", ""), ("alert", KIND), ("held", ""), ("severity", "critical"))
        yield Sample("wbagent_alert_firing", 1.0, labels)
    yield Sample("wbagent_alerts_firing", float(blind + sum(not alert.held_by for alert in firing)))
    yield Sample("wbagent_outbox_messages", float(waiting))
