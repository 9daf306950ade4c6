"""`wbagent database tune` on a real MySQL: at once, after a restart, in an option file, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.integration.database_setup_case import Host, made_host, untuned_server
from tests.testbed.mysql import MysqlServer
from wbagent.database.option_files import Program, drop_in, start_arguments
from wbagent.database.tuning import not_taken, option_file

TUNED = (
    "SELECT @@GLOBAL.sync_binlog, @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.binlog_row_image,"
    " @@GLOBAL.innodb_online_alter_log_max_size, @@GLOBAL.sort_buffer_size, @@GLOBAL.max_prepared_stmt_count"
)
WANTED = [(1, 1, "MINIMAL", 268435456, 33554432, 1048576)]


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with untuned_server() as running:
        yield running


@pytest.fixture
def host(server: MysqlServer, tmp_path: Path) -> Iterator[Host]:
    with made_host(server, tmp_path) as made:
        yield made


def test_tuned_now_and_after_a_restart(host: Host) -> None:
    server = host.server
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE sorting")
        cursor.execute("CREATE TABLE sorting.t (id INT, body JSON)")
        cursor.execute(
            "INSERT INTO sorting.t VALUES (1, JSON_ARRAY(REPEAT('x', 60000))), (2, JSON_ARRAY(REPEAT('y', 60000)))"
        )
    sort = "SELECT id, body FROM sorting.t ORDER BY id DESC"
    with pytest.raises(pymysql.err.OperationalError, match="Out of sort memory"):
        server.execute(sort)

    asked = host.run("tune", status=64)
    assert "--yes" in asked.stderr
    assert server.execute("SELECT @@GLOBAL.sync_binlog") == [(0,)]
    done = host.run("tune", "--yes").stdout
    assert "restart of MySQL is needed" not in done
    assert len(server.execute(sort)) == 2
    assert server.execute(TUNED) == WANTED
    assert "to do" not in host.run("tune").stdout

    # Persisted values win over the options that it is started with.
    server.stop()
    server.start()
    assert server.execute(TUNED) == WANTED
    assert "stays so after a restart" in host.run("tune").stdout
    server.execute("DROP DATABASE sorting")


def test_lines_of_an_option_file_last_too(host: Host) -> None:
    """In its chroot MySQL is, as in a container, out of this host's reach: the lines are for a person to put there."""
    server = host.server
    server.execute("RESET PERSIST")
    server.execute("SET PERSIST binlog_row_image = FULL")
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    printed = host.run("tune", "--in-file", "--yes").stdout
    assert "Not written, since its process is not to be seen on this host" in printed
    assert server.execute(TUNED) == WANTED
    lines = [
        line.strip() for line in printed.split("In an option file of that server:")[1].splitlines() if "    " in line
    ]
    assert "binlog_row_image = MINIMAL" in lines
    (server.directory / "scratch/zz-wbagent.cnf").write_text("\n".join(lines))
    server.stop()
    server.start()
    ((row_image, at_commit),) = server.execute(
        "SELECT @@GLOBAL.binlog_row_image, @@GLOBAL.innodb_flush_log_at_trx_commit"
    )
    assert (row_image, at_commit) == ("MINIMAL", 1)


def test_an_administrator_who_may_not_persist(host: Host) -> None:
    host.server.execute("SET GLOBAL sync_binlog = 0")
    little = host.server.create(host.name, "little", "password")
    host.server.execute("GRANT SELECT ON performance_schema.* TO 'little'@'%'")
    refused = host.run("tune", "--yes", admin=little, status=69).stderr
    assert "cannot set " in refused
    assert "SYSTEM_VARIABLES_ADMIN" in refused


def test_a_real_mysqld_reads_the_option_file(mysqld: Path, tmp_path: Path) -> None:
    main, included = tmp_path / "my.cnf", tmp_path / "conf.d"
    (tmp_path / "empty.d").mkdir()
    included.mkdir()
    main.write_text(f"[mysqld]\nsync_binlog = 0\n!includedir {tmp_path}/empty.d\n!include {tmp_path}/more.cnf\n")
    (tmp_path / "more.cnf").write_text(f"!includedir {included}\n")
    (included / "mysqld.cnf").write_text("[mysqld]\nsort-buffer-size = 1M\n")
    program = Program(str(mysqld), (f"--defaults-file={main}",), "")
    place = drop_in(program)
    assert place == included / "zz-wbagent.cnf"
    lines = {"sync_binlog": "sync_binlog = 1", "sort_buffer_size": "sort_buffer_size = 33554432"}
    assert not_taken(lines.values(), start_arguments(program)) == list(lines.values())
    place.write_text(option_file({}, lines))
    assert not_taken(lines.values(), start_arguments(program)) == []
    (included / "zz-zz.cnf").write_text("[mysqld]\nloose-sync-binlog = 0\n")
    assert not_taken(lines.values(), start_arguments(program)) == ["sync_binlog = 1"]
    main.write_text("[mysqld]\n")
    assert "includes a directory" in str(drop_in(program))
