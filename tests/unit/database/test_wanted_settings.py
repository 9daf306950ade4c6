"""How each setting that W&B asks for is judged, and how it is set, by version of MySQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.database.wanted import WANTED, Standing, standing

NAMED = {wanted.name: wanted for wanted in WANTED}


@pytest.mark.parametrize(
    ("name", "current", "version", "expected"),
    [
        ("log_bin", "ON", (9, 7, 4), Standing.RIGHT),
        ("log_bin", "OFF", (9, 7, 4), Standing.WRONG),
        ("binlog_format", "ROW", (9, 7, 4), Standing.RIGHT),
        ("binlog_format", "MIXED", (5, 7, 44), Standing.WRONG),
        # A later release knows rows only, and then has no such variable.
        ("binlog_format", None, (10, 0, 0), Standing.ABSENT),
        ("binlog_row_image", "MINIMAL", (8, 0, 44), Standing.RIGHT),
        ("binlog_row_image", "FULL", (8, 0, 44), Standing.WRONG),
        ("sync_binlog", "1", (8, 4, 0), Standing.RIGHT),
        ("sync_binlog", "0", (8, 4, 0), Standing.WRONG),
        ("sync_binlog", "1000", (8, 4, 0), Standing.WRONG),
        ("innodb_flush_log_at_trx_commit", "1", (8, 4, 0), Standing.RIGHT),
        ("innodb_flush_log_at_trx_commit", "2", (8, 4, 0), Standing.WRONG),
        ("innodb_online_alter_log_max_size", "134217728", (9, 7, 4), Standing.WRONG),
        ("innodb_online_alter_log_max_size", "268435456", (9, 7, 4), Standing.RIGHT),
        ("innodb_online_alter_log_max_size", "1073741824", (9, 7, 4), Standing.RIGHT),
        ("sort_buffer_size", "262144", (9, 7, 4), Standing.WRONG),
        ("sort_buffer_size", "262144", (8, 0, 28), Standing.WRONG),
        ("sort_buffer_size", "262144", (8, 0, 27), Standing.ABSENT),
        ("sort_buffer_size", "262144", (5, 7, 44), Standing.ABSENT),
        ("sort_buffer_size", "33554432", (8, 4, 0), Standing.ENOUGH),
        ("sort_buffer_size", "67108864", (8, 4, 0), Standing.RIGHT),
        ("max_prepared_stmt_count", "16382", (8, 4, 0), Standing.WRONG),
        ("max_prepared_stmt_count", "1048576", (8, 4, 0), Standing.RIGHT),
        ("max_prepared_stmt_count", "4194304", (9, 7, 4), Standing.RIGHT),
    ],
)
def test_standing(name: str, current: str | None, version: tuple[int, int, int], expected: Standing) -> None:
    assert standing(NAMED[name], current, version) is expected


def test_how_it_is_set() -> None:
    buffer, log = NAMED["sort_buffer_size"], NAMED["log_bin"]
    assert buffer.statement((8, 0, 28)) == "SET PERSIST sort_buffer_size = 33554432;"
    assert buffer.statement((9, 7, 4), buffer.better) == "SET PERSIST sort_buffer_size = 67108864;"
    assert not buffer.needs_line((8, 0, 28))
    assert NAMED["sync_binlog"].statement((5, 7, 44)) == "SET GLOBAL sync_binlog = 1;"
    assert NAMED["sync_binlog"].needs_line((5, 7, 44))
    assert log.statement((9, 7, 4)) == ""
    assert log.needs_line((9, 7, 4))
    assert log.option_line() == "log_bin = binlog"
    assert buffer.option_line() == "sort_buffer_size = 33554432"


@pytest.mark.parametrize("version", [(5, 7, 44), (8, 0, 44), (9, 7, 4)])
def test_what_was_set_is_right(version: tuple[int, int, int]) -> None:
    assert {standing(each, each.value, version) for each in WANTED} <= set(Standing) - {Standing.WRONG}


@given(st.text(max_size=20))
def test_any_text_is_judged(current: str) -> None:
    for wanted in WANTED:
        assert standing(wanted, current, (9, 7, 4)) in Standing
