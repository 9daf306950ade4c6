"""When a clone's position is exact, and which tables are counted beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.backup.test_clone_checks import DATABASE, TABLE, server
from wbagent.backup.engines.clone import moment, small_tables
from wbagent.backup.manifest import Position
from wbagent.backup.source import Source

AT = Position(gtid_set="u:1-9", file="binlog.000001", offset=100, exact=False)
SERVER = server()
WITH_GTIDS = replace(SERVER, gtid_mode=True)


@pytest.mark.parametrize(
    ("after", "exact"),
    [
        (AT, True),
        (AT.model_copy(update={"gtid_set": "u:1-10", "offset": 200}), False),
        # Committed meanwhile, and written to the log before.
        (AT.model_copy(update={"gtid_set": "u:1-10"}), False),
        # On its way to be committed.
        (AT.model_copy(update={"offset": 200}), False),
        (None, False),
    ],
)
def test_position_is_exact_where_nothing_was_committed(after: Position | None, exact: bool) -> None:
    found = moment(AT, after, WITH_GTIDS)
    assert found == AT.model_copy(update={"exact": exact})


def test_without_gtids_nobody_can_say() -> None:
    assert moment(AT, AT, replace(SERVER, gtid_mode=False)) == AT
    nameless = AT.model_copy(update={"gtid_set": None})
    assert moment(nameless, nameless, WITH_GTIDS) == nameless
    assert moment(None, AT, WITH_GTIDS) is None


def test_large_tables_are_not_counted() -> None:
    tables = [replace(TABLE, name=f"t{size}", size=size << 20) for size in (15, 1, 17, 14)]
    database = replace(DATABASE, tables=tuple(tables))
    assert small_tables(Source(SERVER, database, 0)) == ("t1", "t14", "t15")
    many = tuple(replace(TABLE, name=f"t{number:02}", size=10 << 20) for number in range(20))
    assert len(small_tables(Source(SERVER, replace(DATABASE, tables=many), 0))) == 12
