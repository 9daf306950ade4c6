"""How each setting of a MySQL server is judged, and what is said to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.checks.database_case import (
    GIB,
    URL,
    by_about,
    database,
    look,
    server,
    settings,
    table,
    with_variables,
)
from wbagent.checks.database import settings as judged_settings


def test_all_settings_right() -> None:
    assert {each.verdict for each in judged_settings.wanted(look())} == {"pass"}


@pytest.mark.parametrize(
    ("name", "value", "expected", "remedy"),
    [
        ("log_bin", "OFF", "warn", "restart MySQL"),
        ("binlog_format", "STATEMENT", "fail", "SET PERSIST binlog_format = ROW;"),
        ("binlog_row_image", "FULL", "warn", "SET PERSIST binlog_row_image = MINIMAL;"),
        ("sync_binlog", "0", "fail", "SET PERSIST sync_binlog = 1;"),
        ("innodb_flush_log_at_trx_commit", "2", "fail", "SET PERSIST innodb_flush_log_at_trx_commit = 1;"),
        ("innodb_online_alter_log_max_size", "134217728", "warn", "= 268435456;"),
        ("sort_buffer_size", "262144", "fail", "SET PERSIST sort_buffer_size = 33554432;"),
        ("max_prepared_stmt_count", "16382", "warn", "SET PERSIST max_prepared_stmt_count = 1048576;"),
    ],
)
def test_a_wrong_setting(name: str, value: str, expected: str, remedy: str) -> None:
    found = by_about(judged_settings.wanted(with_variables(**{name: value})))[name]
    assert (found.verdict, value in found.found) == (expected, True)
    assert remedy in found.remedy
    assert found.remedy.startswith("wbagent database tune")
    assert ("needs a restart" if name == "log_bin" else "without a restart") in found.needed


def test_before_8_0_a_line_of_the_option_file_as_well() -> None:
    seen = replace(with_variables(sync_binlog="0"), server=server((5, 7, 44)))
    found = by_about(judged_settings.wanted(seen))
    assert "SET GLOBAL sync_binlog = 1; and the line `sync_binlog = 1`" in found["sync_binlog"].remedy
    assert "sort_buffer_size" not in found


def test_setting_by_version() -> None:
    steps = (("gtid_mode", "ON_PERMISSIVE"), ("gtid_mode", "ON"))
    assert (
        judged_settings.setting((8, 0, 28), *steps)
        == "SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;"
    )
    old = judged_settings.setting((5, 7, 44), *steps)
    assert old.startswith("SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON;")
    assert old.endswith("my.cnf `gtid_mode = ON`")


@pytest.mark.parametrize(
    ("version", "name", "purge"),
    [
        ((5, 7, 44), "expire_logs_days = 30", False),
        ((8, 0, 28), "binlog_expire_logs_seconds = 2592000", False),
        ((8, 4, 0), "binlog_expire_logs_seconds = 2592000", True),
    ],
)
def test_expiry_by_version(version: tuple[int, int, int], name: str, purge: bool) -> None:
    seen = replace(with_variables(binlog_expire_logs_seconds="0"), server=server(version))
    remedy = by_about(judged_settings.binary_log(seen, settings()))["binlog_expire_logs_seconds"].remedy
    assert name in remedy
    assert ("auto_purge" in remedy) is purge


def test_enough_and_passing() -> None:
    enough = by_about(judged_settings.wanted(with_variables(sort_buffer_size="33554432")))["sort_buffer_size"]
    assert (enough.verdict, "SET PERSIST sort_buffer_size = 67108864;" in enough.remedy) == ("note", True)
    passing = by_about(judged_settings.wanted(look(passing=frozenset({"sync_binlog"}))))["sync_binlog"]
    assert (passing.verdict, "restart may take it back" in passing.found) == ("note", True)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [({}, "note"), ({"standby": {"url": str(URL)}}, "warn"), ({"backup": {"binlog": {"enabled": True}}}, "fail")],
)
def test_no_gtids(sections: dict[str, Any], expected: str) -> None:
    found = by_about(judged_settings.binary_log(with_variables(gtid_mode="OFF"), settings(**sections)))
    assert found["gtid_mode"].verdict == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"binlog_expire_logs_seconds": "2592000"}, "pass"),
        ({"binlog_expire_logs_seconds": "3600"}, "warn"),
        ({"binlog_expire_logs_seconds": "0"}, "warn"),
        ({"binlog_expire_logs_seconds": "0", "expire_logs_days": "7"}, "pass"),
        ({"binlog_expire_logs_auto_purge": "OFF"}, "warn"),
    ],
)
def test_expiry_of_binary_logs(values: dict[str, str], expected: str) -> None:
    found = by_about(judged_settings.binary_log(with_variables(**values), settings()))
    assert found["binlog_expire_logs_seconds"].verdict == expected
    assert found["gtid_mode"].verdict == "pass"


def test_without_a_binary_log_its_own_settings_say_nothing() -> None:
    assert list(judged_settings.binary_log(look(server=server(binary_log=False)), settings())) == []


@pytest.mark.parametrize(("peak", "expected"), [("120", "pass"), ("121", "warn"), ("152", "warn")])
def test_headroom_of_connections(peak: str, expected: str) -> None:
    assert judged_settings.connections(look(status={"Max_used_connections": peak}), settings()).verdict == expected


@pytest.mark.parametrize(
    ("pool", "size", "memory", "expected"),
    [
        (GIB, GIB, 0, "pass"),
        (GIB, 4 * GIB, 0, "note"),
        (128 << 20, 4 * GIB, 16 * GIB, "note"),
        # Half of the memory is in use already: no more is asked for.
        (8 * GIB, 40 * GIB, 16 * GIB, "pass"),
        (14 * GIB, GIB, 16 * GIB, "warn"),
    ],
)
def test_buffer_pool(pool: int, size: int, memory: int, expected: str) -> None:
    seen = replace(with_variables(innodb_buffer_pool_size=str(pool)), memory=memory)
    found = judged_settings.buffer_pool(replace(seen, database=database(table("runs", size=size))))
    assert found.verdict == expected
    assert bool(found.remedy) is (expected != "pass")
