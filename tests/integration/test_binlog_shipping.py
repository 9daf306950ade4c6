"""Binary logs of a real server reach a real store byte for byte, whatever is killed or cut meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.binlog_case import REPLICATION, content, executed, on_server, shipping, shipping_case
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.config.dsn import S3URL, MysqlURL


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with MysqlServer() as running:
        yield running


@pytest.fixture
def url(server: MysqlServer) -> Iterator[MysqlURL]:
    made = server.create("shipped", "shipper", "pass/word+with:all@of#it%")
    server.execute(f"GRANT {REPLICATION} ON *.* TO shipper@'%%'".replace("%%", "%"))
    server.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)", database="shipped")
    yield made
    server.execute("DROP DATABASE shipped")
    server.execute("DROP USER shipper@'%'")


def write(server: MysqlServer, count: int, size: int = 100) -> None:
    with server.connect("shipped") as connection, connection.cursor() as cursor:
        for _ in range(count):
            cursor.execute("INSERT INTO t (v) VALUES (REPEAT(UUID(), %s))", (size // 36 + 1,))


def test_files_are_stored_byte_for_byte_over_rotations(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host:
        write(server, 20)
        host.until_stored(executed(server))
        write(server, 20, 200_000)
        server.execute("FLUSH BINARY LOGS")
        write(server, 3)
        host.until_stored(executed(server))
        host.until(lambda: not host.service.report.behind, "not behind")
        assert host.service.report.lag(host.service.report.noted_at) == 0
        for file in host.catalog():
            assert content(case, file) == on_server(server, file)
        spooled = [path.name for path in host.service._spool.files()]
        assert len(spooled) == 1, "what is shipped is removed"
