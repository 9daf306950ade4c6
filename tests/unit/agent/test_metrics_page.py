"""What Prometheus gets to know of a host: what is known, and nothing about what a host is not there for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.agent.test_overview import IDLE, NOW, SERVING
from wbagent.agent.metrics import alert_samples, host_samples
from wbagent.agent.overview import CONFIG_FACT, DATABASE_FACT, Overview
from wbagent.alerts.states import StoredAlert
from wbagent.moment import Moment
from wbagent.monitor.rules import AlertState, Phase, Severity
from wbagent.monitor.sample import Sample
from wbagent.server.history import Reason, Record
from wbagent.server.outages import outages
from wbagent.state import Fact

EVERYTHING = {"server": True, "database": True, "backup": True, "binlog": True}
NOTHING = dict.fromkeys(EVERYTHING, False)
RECORDS = (
    Record(NOW - 900, Reason.READY, "", "one", container="a"),
    Record(NOW - 600, Reason.EXITED, "", "one", container="a"),
    Record(NOW - 570, Reason.READY, "", "two", container="b"),
    Record(NOW - 60, Reason.OUT_OF_MEMORY, "", "two", container="b"),
)


def seen(**changes: Any) -> Overview:
    facts = {CONFIG_FACT: Fact({"refused": ""}, NOW), DATABASE_FACT: Fact({"ok": False}, NOW)}
    return replace(Overview(SERVING, SERVING, IDLE, None, facts, ()), **changes)


def values(overview: Overview, configured: dict[str, bool] = EVERYTHING) -> dict[str, float]:
    return {sample.name.removeprefix("wbagent_"): sample.value for sample in host_samples(overview, configured, NOW)}


def test_a_host_that_is_there_for_nothing_tells_of_its_agent_alone() -> None:
    assert values(seen(), NOTHING) == {"build_info": 1.0, "config_refused": 0.0}


def test_a_server_that_serves() -> None:
    told = values(seen(server=replace(SERVING, restarts=2), outages=outages(RECORDS[:3]), last_end=RECORDS[1]))
    assert told["server_up"] == told["server_ready"] == told["server_enabled"] == 1.0
    assert told["server_restarts_total"] == 2.0
    assert told["server_start_time_seconds"] == NOW - 7200
    assert told["server_outage_seconds"] == 0.0
    assert told["server_last_outage_seconds"] == 30.0
    assert told["server_last_end_timestamp_seconds"] == NOW - 600
    assert told["database_up"] == 0.0
    assert told["backup_running"] == 0.0


def test_a_server_that_is_down() -> None:
    down = seen(server=replace(SERVING, active="activating"), outages=outages(RECORDS), last_end=RECORDS[3])
    told = values(down)
    assert told["server_up"] == told["server_ready"] == 0.0
    assert told["server_outage_seconds"] == 60.0
    assert told["server_last_outage_seconds"] == 30.0
    assert "server_start_time_seconds" not in told
    (reason,) = (each for each in host_samples(down, EVERYTHING, NOW) if each.name == "wbagent_server_last_end_info")
    assert reason.labels == (("reason", "out of memory"),)


def test_what_fires() -> None:
    moment = Moment(NOW, 1.0, "boot")
    firing = AlertState(Phase.FIRING, moment)
    alerts = (
        StoredAlert("cpu", "CPU", Severity.WARNING, firing),
        StoredAlert("unit:wbagent-backup.service", "backup failed", Severity.CRITICAL, firing, "silence 1"),
        StoredAlert("backup-stale", "no backup", Severity.CRITICAL, replace(firing, phase=Phase.PENDING)),
    )
    told = list(alert_samples(alerts, 3))
    assert told[0].labels == (("about", ""), ("alert", "cpu"), ("held", ""), ("severity", "warning"))
    assert dict(told[1].labels)["about"] == "wbagent-backup.service"
    assert dict(told[1].labels)["held"] == "silence 1"
    assert told[2:] == [Sample("wbagent_alerts_firing", 1.0), Sample("wbagent_outbox_messages", 3.0)]
    blind = list(alert_samples((), 0, blind=True))
    assert dict(blind[0].labels)["alert"] == "alerts-blind"
    assert blind[1] == Sample("wbagent_alerts_firing", 1.0)
