"""The file of metrics: what is known and nothing else, whole at every moment, readable for other users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wbagent.binlog.lag import Report
from wbagent.errors import StateError
from wbagent.monitor.backup_facts import BackupFacts
from wbagent.monitor.textfile import metrics, write

LAST = {"finished_at": 1000.5, "stored_bytes": 10, "plain_bytes": 40, "duration_s": 2.5, "off_site": True}
PROVEN = {"result": "proven", "finished_at": 900.0}


def test_nothing_is_made_up() -> None:
    assert metrics(BackupFacts({}, {}, {}, {}), None, 93600.0, 0, {}) == {"wbagent_alerts_firing": 0.0}


def test_what_prometheus_reads(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.prom"
    report = Report(1001.0, 0.0, "host1", covered_at=998.0, last_at=997.5, gap="x", gap_at=990.0)
    values = metrics(BackupFacts(LAST, {}, PROVEN, PROVEN, failed=950.0), 100.0, 93600.0, 2, report.figures(1005.0))
    before = os.umask(0o077)
    try:
        write(path, {"wbagent_alerts_firing": 1.0})
        write(path, values)
    finally:
        os.umask(before)
    families = list(text_string_to_metric_families(path.read_text()))
    assert {family.name: family.samples[0].value for family in families} == values
    assert all(family.type == "gauge" and family.documentation for family in families)
    assert values["wbagent_backup_last_success_timestamp_seconds"] == 1000.5
    assert values["wbagent_backup_last_proven_timestamp_seconds"] == 900.0
    assert values["wbagent_backup_drill_ok"] == 1.0
    assert values["wbagent_binlog_lag_seconds"] == 7.0
    assert values["wbagent_binlog_last_event_timestamp_seconds"] == 997.5
    assert values["wbagent_binlog_gap"] == 1.0
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be written") as caught:
        write(tmp_path / "missing" / "wbagent.prom", {"wbagent_alerts_firing": 0.0})
    assert "ReadWritePaths" in caught.value.hint
