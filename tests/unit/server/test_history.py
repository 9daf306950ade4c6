"""The history file: whole or old at every moment, bounded, and read back as written."""

from __future__ import annotations

from pathlib import Path

from wbagent.server.history import Reason, Record, append, last, newest, read, unready


def record(number: int, reason: Reason = Reason.EXITED) -> Record:
    return Record(
        float(number), reason, "détail\nwith lines", f"id{number}", 137, log=("a", "b"), probe="/healthz: 503"
    )


def test_no_history_yet(tmp_path: Path) -> None:
    assert read(tmp_path / "history.jsonl") == ()


def test_read_as_written_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for number in range(705):
        append(record(number), path)
        assert last(path) == record(number)
    records = read(path)
    # The oldest are cut off when the 601st comes: 500 stay.
    assert 500 <= len(records) <= 600
    assert records == tuple(record(number) for number in range(705 - len(records), 705))


def test_a_line_that_is_not_whole_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append(record(1), path)
    path.write_text(path.read_text() + '{"at": 1, "rea')
    assert last(path) == record(1)
    append(record(2), path)
    append(record(3), path)
    assert read(path) == (record(1), record(2), record(3))


def test_a_byte_that_is_spoilt_costs_its_line_only(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for number in (1, 2, 3):
        append(record(number), path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b'"', b"\xff") + lines[2])
    assert read(path) == (record(1), record(3))


def test_the_last_start_or_end(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for number, reason in enumerate((Reason.EXITED, Reason.READY, Reason.UNREADY, Reason.READY_AGAIN)):
        append(record(number, reason), path)
    assert last(path) == record(1, Reason.READY)


def test_the_last_of_none(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert last(path) is None
    path.write_text("\nno record\n\n")
    assert last(path) is None


def test_what_counts_as_an_end() -> None:
    of_one_run = [Reason.UNREADY, Reason.READY_AGAIN]
    no_end = [Reason.READY, Reason.STOPPED, *of_one_run]
    assert [reason for reason in Reason if not record(1, reason).is_end] == no_end
    assert [reason for reason in Reason if record(1, reason).of_one_run] == of_one_run


def test_lost_readiness_hides_neither_the_start_nor_the_end_before_it() -> None:
    started, lost, back = record(1, Reason.READY), record(2, Reason.UNREADY), record(3, Reason.READY_AGAIN)
    assert newest([started, lost, back]) == started
    assert newest([]) is None
    assert unready([started, lost]) == lost
    # Whatever is recorded next ends it: its return, or the container's end.
    for after in (back, record(3, Reason.EXITED), record(3, Reason.STOPPED), record(3, Reason.RUNNER_DIED)):
        assert unready([started, lost, after]) is None
    assert unready([]) is None
