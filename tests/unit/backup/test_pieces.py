"""Small parts of backups: the progress line, the lock, and what a comparison finds missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.backup.sample_manifest import manifest
from wbagent.backup.lock import nobody_restores, only_one, restoring
from wbagent.backup.progress import Meter, Progress
from wbagent.database.schema import DatabaseFacts, TableFacts
from wbagent.errors import BackupError, StateError
from wbagent.restore.compare import missing_objects


def test_line_for_systemd() -> None:
    progress = Progress("dumping", 1_300_000_000, 450_000_000, 13.0)
    assert progress.line() == "dumping: 1.21G read, 429M stored, 95.4M/s"
    assert Progress("reading back", 0, 0, 0.0).line() == "reading back: 0B read, 0B/s"


@given(st.integers(0, 2**50), st.integers(0, 2**50), st.integers(0, 2**50), st.floats(0.1, 1e6), st.booleans())
def test_the_follower_reads_what_the_line_told(
    read: int, stored: int, expected: int, elapsed: float, finished: bool
) -> None:
    told = Progress("reading back", read, stored, elapsed, expected, finished=finished)
    seen = Progress.parse(told.line())
    assert seen is not None
    assert seen.stage == told.stage
    assert seen.read == pytest.approx(read, rel=0.01)
    assert seen.stored == pytest.approx(stored, rel=0.01)
    if expected and not finished:
        assert seen.expected == pytest.approx(max(expected, read), rel=0.01)


def test_other_status_lines_are_no_progress() -> None:
    assert Progress.parse("backup 20261124T033339Z is complete, 17M") is None


def test_meter_reports_first_and_last() -> None:
    seen: list[Progress] = []
    meter = Meter("dumping", seen.append)
    for _ in range(1000):
        meter.add(10, 1)
    meter.done()
    assert [(each.read, each.stored) for each in (seen[0], seen[-1])] == [(0, 0), (10_000, 1000)]
    assert len(seen) < 10, "at most one a second"


def test_lock_is_for_one(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(BackupError, match="another backup runs"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass
    with pytest.raises(StateError), only_one(tmp_path / "missing"):
        pass


def test_restores_go_together_and_keep_retention_away(tmp_path: Path) -> None:
    with restoring(tmp_path), restoring(tmp_path), nobody_restores(tmp_path) as free:
        assert not free
    with nobody_restores(tmp_path) as free:
        assert free
    with restoring(tmp_path / "missing"):
        pass
    with pytest.raises(StateError, match="of the block"), restoring(tmp_path):
        raise StateError("of the block")


def test_what_is_missing_after_a_restore_is_named() -> None:
    found = DatabaseFacts("w", "", "", (TableFacts("extra", "InnoDB", 0, 0, ""),), (), (), (), (), (), (), ())
    record = manifest(views=("v",), events=("e",))
    assert missing_objects(found, record) == ("tables missing: runs", "views missing: v", "events missing: e")
