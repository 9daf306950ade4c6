"""`wbagent check database` on a server with each setting wrong, and right again by what the finding says to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import require
from tests.integration.database_check_case import found_by, mend, settings
from tests.testbed.mysql import MysqlServer
from tests.testbed.rootfs import MYSQL
from wbagent.config.dsn import MysqlURL
from wbagent.database.wanted import WANTED

# Everything that can be wrong at once without keeping mysqld from starting.
_WRONG = {
    "binlog_format": "STATEMENT",
    "binlog_row_image": "FULL",
    "sync_binlog": "0",
    "innodb_flush_log_at_trx_commit": "2",
    "innodb_online_alter_log_max_size": "134217728",
    "sort_buffer_size": "262144",
    "gtid_mode": "OFF",
    "enforce_gtid_consistency": "OFF",
    "binlog_expire_logs_seconds": "3600",
    "character_set_server": "latin1",
    "max_connections": "10",
    "innodb_buffer_pool_size": "16M",
}


@pytest.fixture(scope="module")
def wrong() -> Iterator[MysqlServer]:
    require(MYSQL)
    with MysqlServer(settings=_WRONG) as server:
        server.create("wandb_local", "wandb_local", "own")
        yield server


def test_a_server_as_the_guide_has_it(database: MysqlURL) -> None:
    found = found_by(settings(database))
    guide = [each.name for each in WANTED if each.name not in {"sort_buffer_size", "max_prepared_stmt_count"}]
    assert [found[f"settings: {name}"].verdict for name in guide] == ["pass"] * len(guide)
    assert found["settings: sort_buffer_size"].verdict == "note"
    assert found["settings: max_prepared_stmt_count"].verdict == "warn"
    for name in (
        "account of [server] mysql",
        "encryption: [server] mysql",
        "place",
        "binary log: gtid_mode",
        "binary log: binlog_expire_logs_seconds",
        "character set: server",
        f"character set: database {database.database}",
        "storage engine",
        "FLOAT columns",
        "grants: server",
        "grants: backup",
        f"password check: '{database.user}'@'%'",
        "connections",
        "buffer pool",
    ):
        assert found[name].verdict == "pass", (name, found[name])
    assert (found["version"].verdict, "9.7.4" in found["version"].found) == ("note", True)


def test_every_setting_wrong_and_right_by_what_the_findings_say(wrong: MysqlServer) -> None:
    url = wrong.url("wandb_local", "wandb_local")
    expected = {
        "binlog_format": "fail",
        "binlog_row_image": "warn",
        "sync_binlog": "fail",
        "innodb_flush_log_at_trx_commit": "fail",
        "innodb_online_alter_log_max_size": "warn",
        "sort_buffer_size": "fail",
        "max_prepared_stmt_count": "warn",
    }
    others = {
        "binary log: gtid_mode": "note",
        "binary log: binlog_expire_logs_seconds": "warn",
        "character set: server": "note",
    }
    before = found_by(settings(url))
    assert {name: before[f"settings: {name}"].verdict for name in expected} == expected
    assert {name: before[name].verdict for name in others} == others
    # A restart of MySQL is asked for by none of them.
    assert all("without a restart" in before[f"settings: {name}"].needed for name in expected)
    for name in [*(f"settings: {each}" for each in expected), *others]:
        mend(wrong, before[name])
    after = found_by(settings(url))
    enough = "settings: sort_buffer_size"
    # "name": the container of a server could not reach a MySQL at a loopback address, such as this one.
    judged = [name for name in before if (before[name].verdict != "note" and name != "name") or name in others]
    assert {name: after[name].verdict for name in judged} == {
        name: "note" if name == enough else "pass" for name in judged
    }
    mend(wrong, after[enough])
    assert found_by(settings(url))[enough].verdict == "pass"


def test_what_was_set_and_not_persisted(wrong: MysqlServer) -> None:
    wrong.execute("SET GLOBAL max_prepared_stmt_count = 2097152")
    wrong.execute("RESET PERSIST IF EXISTS max_prepared_stmt_count")
    url = wrong.url("wandb_local", "wandb_local")
    found = found_by(settings(url))["settings: max_prepared_stmt_count"]
    assert (found.verdict, "not persisted" in found.found) == ("note", True)
    mend(wrong, found)
    assert found_by(settings(url))["settings: max_prepared_stmt_count"].verdict == "pass"


def test_connections_that_were_nearly_used_up(wrong: MysqlServer) -> None:
    url = wrong.url("wandb_local", "wandb_local")
    held = [wrong.connect() for _ in range(8)]
    for each in held:
        each.close()
    found = found_by(settings(url))["connections"]
    assert (found.verdict, "of 10" in found.found) == ("warn", True)
    mend(wrong, found)
    assert found_by(settings(url))["connections"].verdict == "pass"


def test_a_database_that_does_not_fit_into_memory(wrong: MysqlServer) -> None:
    url = wrong.url("wandb_local", "wandb_local")
    assert found_by(settings(url))["buffer pool"].verdict == "pass"
    wrong.execute(
        "CREATE TABLE big SELECT REPEAT('x', 8000) AS x FROM information_schema.collations a,"
        " information_schema.engines b LIMIT 2800",
        database="wandb_local",
    )
    wrong.execute("ANALYZE TABLE big", database="wandb_local")
    found = found_by(settings(url))["buffer pool"]
    assert (found.verdict, "16.0M for a database of" in found.found) == ("note", True)
    mend(wrong, found)
    assert found_by(settings(url))["buffer pool"].verdict == "pass"


def test_a_server_that_takes_no_writes(wrong: MysqlServer) -> None:
    url = wrong.url("wandb_local", "wandb_local")
    assert found_by(settings(url))["writes"].verdict == "pass"
    wrong.execute("SET GLOBAL super_read_only = ON")
    found = found_by(settings(url))["writes"]
    assert (found.verdict, "super_read_only is ON" in found.found) == ("fail", True)
    mend(wrong, found)
    assert found_by(settings(url))["writes"].verdict == "pass"
