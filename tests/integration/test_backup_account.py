"""The account that `wbagent database user` makes for backups does all that the engines need, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.integration.backup_case import make_case
from tests.integration.database_setup_case import Host, made_host, untuned_server
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.sample import fill
from wbagent.backup.engines.choose import Offer
from wbagent.backup.engines.clone import Clone
from wbagent.backup.engines.clone_checks import why_no_clone
from wbagent.backup.engines.clone_directory import Place
from wbagent.backup.engines.mydumper_checks import Room, why_no_mydumper
from wbagent.backup.source import look
from wbagent.binlog.source import check as check_binlog
from wbagent.database.clone import read_clone_facts
from wbagent.database.connection import rows, session
from wbagent.database.facts import read_server
from wbagent.moment import Moment
from wbagent.monitor.mysql_load import read_load


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with untuned_server() as running:
        yield running


@pytest.fixture
def host(server: MysqlServer, tmp_path: Path) -> Iterator[Host]:
    with made_host(server, tmp_path) as made:
        yield made


def test_the_backup_account_backs_up_and_can_do_no_more(host: Host, clients: ClientPrograms, tmp_path: Path) -> None:
    host.server.create(host.name, "owner", "password")
    with host.server.connect(host.name) as connection:
        fill(connection, 1)
    host.run("user", "--user", "saver", "--host", "%", "--clone", "--binlog", "--yes")
    url = host.url
    assert url.user == "saver"

    # Each engine's own preflight, and the real one of them that needs no other host.
    source = look(url)
    case = make_case(tmp_path / "case", url, clients, engine="mysqldump")
    made = case.run().manifest
    assert made.position is not None
    assert [each.split(" ")[0] for each in made.warnings] == ["FLOAT"]
    with session(url) as connection:
        facts = read_clone_facts(connection, source.server, source.database.name)
        place = Place(Path("/var/lib/elsewhere"), 1 << 40)
        assert why_no_clone(source.server, source.database, facts, place, same_host=True) is None
        check_binlog(read_server(connection), url)
        assert len(rows(connection, "SHOW BINARY LOGS")) > 0
        rows(connection, "CLONE LOCAL DATA DIRECTORY = '/mnt/scratch/by-saver'")
        for statement in (
            "DELETE FROM runs",
            "UPDATE runs SET name = ''",
            "INSERT INTO runs SELECT * FROM runs",
            "DROP TABLE runs",
            "TRUNCATE runs",
            "CREATE TABLE more (id INT)",
            "DROP DATABASE " + host.name,
            "SELECT * FROM mysql.user",
            "SET GLOBAL sync_binlog = 0",
            "CREATE USER thief",
        ):
            with pytest.raises(pymysql.MySQLError, match=r"denied|Access"):
                rows(connection, statement)
    assert read_load(url, Moment.now()).missing == ()
    assert "to do" not in host.run("user", "--user", "saver", "--host", "%", "--clone", "--binlog").stdout


def test_mydumper_would_have_all_rights(host: Host, clients: ClientPrograms, tmp_path: Path) -> None:
    host.server.create(host.name, "owner", "password")
    with host.server.connect(host.name) as connection:
        fill(connection, 0.1)
    host.run("user", "--user", "saver", "--host", "%", "--no-clone", "--yes")
    source = look(host.url)
    assert why_no_mydumper(host.url, source, Room(tmp_path, 1 << 40)) is None
    case = make_case(tmp_path / "case", host.url, clients)
    offer = Offer(case.settings.backup, host.url, source, tmp_path, lambda _: None)
    assert not isinstance(offer.clone(), Clone), "without --clone it may not"
