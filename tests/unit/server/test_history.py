"""The history file: whole or old at every moment, bounded, and read back as written."""

from __future__ import annotations

from pathlib import Path

from wbagent.server.history import Reason, Record, append, read


def record(number: int, reason: Reason = Reason.EXITED) -> Record:
    return Record(
        float(number), reason, "détail\nwith lines", f"id{number}", 137, log=("a", "b"), probe="/healthz: 503"
    )


def test_no_history_yet(tmp_path: Path) -> None:
    assert read(tmp_path / "history.jsonl") == ()


def test_read_as_written_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for number in range(505):
        append(record(number), path)
    records = read(path)
    assert len(records) == 500
    assert (records[0], records[-1]) == (record(5), record(504))


def test_a_line_that_is_not_whole_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append(record(1), path)
    path.write_text(path.read_text() + '{"at": 1, "rea')
    append(record(2), path)
    assert read(path) == (record(1), record(2))


def test_what_counts_as_an_end() -> None:
    assert [reason for reason in Reason if not record(1, reason).is_end] == [Reason.READY, Reason.STOPPED]
