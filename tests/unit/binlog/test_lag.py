"""Lag is what would be lost; a database in which nothing is written has none, and a dead unit hides none."""

from __future__ import annotations

from dataclasses import replace

from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.lag import Coverage, Report

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def upto(number: int) -> GtidSet:
    return GtidSet.parse(f"{A}:1-{number}")


def test_nothing_is_written() -> None:
    report = Report(noted_at=5000.0, since=0.0, owner="host1", covered_at=5000.0, behind=False)
    assert report.lag(5030.0) == 0


def test_a_unit_that_notes_nothing_any_more_is_believed_nothing() -> None:
    report = Report(noted_at=5000.0, since=0.0, owner="host1", covered_at=5000.0, behind=False)
    assert report.lag(5400.0) == 400


def test_a_server_that_cannot_be_asked_may_have_done_nothing() -> None:
    report = Report(5120.0, 0.0, "host1", covered_at=5000.0, behind=True, problem="MySQL is away", silent=True)
    assert report.lag(5120.0) == 120
    assert "nothing is known of the 2min since: MySQL is away" in report.line(5120.0)
    assert "NOT STORED for 2min: MySQL is away" in replace(report, silent=False).line(5120.0)


def test_what_was_executed_and_is_not_stored() -> None:
    report = Report(noted_at=5000.0, since=0.0, owner="host1", covered_at=4900.0, behind=True)
    assert report.lag(5010.0) == 110
    assert Report(noted_at=5000.0, since=4000.0, owner="host1").lag(5000.0) == 1000


def test_a_report_survives_being_noted() -> None:
    report = Report(1.0, 2.0, "host1", covered_at=3.0, problem="x", gap="y", gap_at=4.0)
    assert Report.from_json(report.to_json() | {"of_a_newer_release": 1}) == report


def test_a_gap_is_covered_once_a_backup_was_seen_to_lead_over_it() -> None:
    report = Report(1.0, 2.0, "host1", gap="y", gap_at=4.0, sound_at=3.0)
    assert not report.covered
    assert replace(report, sound_at=5.0).covered


def test_coverage_under_writes_that_never_end() -> None:
    coverage = Coverage()
    for second in range(10):
        coverage.looked(upto(10 * second + 10), float(second))
        coverage.stored(upto(10 * second + 5))
    assert coverage.behind
    assert coverage.covered_at == 8.0
    coverage.stored(upto(100))
    assert not coverage.behind
    assert coverage.covered_at == 9.0


def test_what_was_lost_in_a_failover_is_not_waited_for() -> None:
    coverage = Coverage()
    coverage.looked(upto(10), 1.0)
    coverage.stored(upto(10))
    coverage.looked(upto(12), 2.0)
    # The server that took over never had 11 and 12.
    new = upto(10) | GtidSet.parse("40342206-e9a9-11f1-8fc5-02fc00000001:1")
    coverage.looked(new, 3.0)
    coverage.stored(new)
    assert not coverage.behind
    assert coverage.covered_at == 3.0
