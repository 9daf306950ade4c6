"""What cannot be true of a clone, whatever was written while it was made."""

from __future__ import annotations

import pytest

from tests.unit.backup.sample_manifest import manifest
from wbagent.backup.manifest import TableRecord
from wbagent.backup.proof import TableProof
from wbagent.drill.bounds import far_fewer, gone_back


def table(rows: int | None = None, guess: int = 10_000, counter: int | None = None) -> TableRecord:
    return TableRecord(name="runs", engine="InnoDB", rows=rows, rows_estimate=guess, auto_increment=counter)


@pytest.mark.parametrize(
    ("before", "after", "wrong"), [(41, 41, 0), (41, 90, 0), (41, 30, 0), (None, 1, 0), (41, 4, 1), (41, None, 1)]
)
def test_a_counter_does_not_go_far_back(before: int | None, after: int | None, wrong: int) -> None:
    assert len(gone_back(manifest(tables=(table(counter=before),)), {"runs": after})) == wrong
    assert gone_back(manifest(tables=(table(counter=before),)), {}) == (), "a missing table is told elsewhere"


@pytest.mark.parametrize(
    ("record", "rows", "wrong", "notes"),
    [
        (table(), 9000, 0, 0),
        (table(), 2600, 0, 0),
        (table(), 2400, 0, 1),
        (table(), 99, 1, 0),
        (table(), 0, 1, 0),
        (table(guess=9000), 0, 0, 1),
        # A guess of a small table is worth nothing, and one beside a count neither.
        (table(guess=900), 0, 0, 0),
        (table(rows=0), 0, 0, 0),
    ],
)
def test_rows_beside_the_guess(record: TableRecord, rows: int, wrong: int, notes: int) -> None:
    seen = TableProof(name="runs", rows=rows, recorded=None, checksum=1)
    found = far_fewer(manifest(tables=(record,)), [seen])
    assert (len(found[0]), len(found[1])) == (wrong, notes)
