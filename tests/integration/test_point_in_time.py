"""A restore to a moment gives exactly the state of that moment, over whatever happened meanwhile, or says why not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.age_key import Key
from tests.integration.backup_case import Case
from tests.integration.binlog_case import executed, shipping, shipping_case
from tests.integration.moment_case import at
from tests.integration.point_in_time_case import known_at, restore, shipped_database, started, state
from tests.testbed.mysql import MysqlServer, initialize
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.scratch import scratch
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.errors import RestoreError
from wbagent.restore.until import parse_until


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with started() as running:
        yield running


@pytest.fixture
def url(server: MysqlServer) -> Iterator[MysqlURL]:
    with shipped_database(server) as made:
        yield made


@pytest.fixture
def case(tmp_path: Path, url: MysqlURL, clients: ClientPrograms, bucket: S3URL) -> Case:
    return shipping_case(tmp_path, url, clients, bucket)


@pytest.fixture
def target(server: MysqlServer) -> MysqlURL:
    return server.url("admin", "copy")


@pytest.mark.parametrize("encrypted", [False, True])
def test_before_the_transaction_that_dropped_a_table(
    tmp_path: Path,
    server: MysqlServer,
    url: MysqlURL,
    target: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    keys: list[Key],
    *,
    encrypted: bool,
) -> None:
    case = shipping_case(tmp_path, url, clients, bucket, encrypt_to=[keys[0].public] if encrypted else [])
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('before')", database="original")
        before = executed(server)
        server.execute("DROP TABLE one", database="original")
        (dropped,) = str(executed(server) - before).split(",")
        server.execute("INSERT INTO two VALUES (1, 'after')", database="original")
        host.until_stored(executed(server))
    into = tmp_path / "into"
    into.write_text(str(target))
    if encrypted:
        refused = case.command("restore", "--before-gtid", dropped, "--into", f"@{into}")
        assert "encrypted" in refused.stderr
        assert "--identity" in refused.stderr
        assert server.execute("SHOW DATABASES LIKE 'copy'") == []
    identity = ["--identity", str(keys[0].path)] if encrypted else []
    done = case.command("restore", "--before-gtid", dropped, "--into", f"@{into}", *identity)
    assert done.returncode == 0, done.stderr
    assert "1 transactions applied" in done.stdout
    assert server.execute("SELECT v FROM copy.one") == [("before",)]
    assert server.execute("SELECT v FROM copy.two") == []
    assert server.execute("SHOW TABLES", database="original") == [("two",)]


def test_rows_of_a_database_that_had_the_targets_name_are_none_of_its(
    case: Case, server: MysqlServer, target: MysqlURL
) -> None:
    """Such as an earlier restore's: people look at one moment, drop the copy, and ask for another one."""
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('a')", database="original")
        first = next_transaction(server, "INSERT INTO one (v) VALUES ('b')")
        host.until_stored(executed(server))
        restore(case, target, parse_until(None, first))
        server.execute("DELETE FROM one", database="copy")
        server.execute("INSERT INTO two VALUES (7, 'of the copy')", database="copy")
        # In one transaction with rows of the original, which are its.
        with server.connect("original") as connection, connection.cursor() as cursor:
            connection.begin()
            cursor.execute("INSERT INTO one (v) VALUES ('c')")
            cursor.execute("INSERT INTO copy.two VALUES (8, 'of the copy')")
            connection.commit()
        server.execute("DROP DATABASE copy")
        wanted = state(server, "original")
        second = next_transaction(server, "INSERT INTO one (v) VALUES ('too late')")
        host.until_stored(executed(server))
    restore(case, target, parse_until(None, second))
    assert state(server, "copy") == wanted
    assert len(wanted) == 3


def next_transaction(server: MysqlServer, statement: str) -> str:
    """Execute it in the original; returns its GTID."""
    before = executed(server)
    server.execute(statement, database="original")
    return str(executed(server) - before)


def test_what_cannot_be_given_is_refused_before_anything_is_touched(
    case: Case, server: MysqlServer, target: MysqlURL
) -> None:
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('first')", database="original")
        before = executed(server)
        server.execute("CREATE USER left_out@'%'")
        server.execute("INSERT INTO one (v) VALUES ('second')", database="original")
        good = executed(server)
        server.execute("ALTER TABLE original.two ADD COLUMN w INT", database="original")
        named = str(executed(server) - good)
        server.execute("INSERT INTO one (v) VALUES ('third')", database="original")
        host.until_stored(executed(server))
    now = time.time()
    with pytest.raises(RestoreError, match="later than what is stored, which ends at"):
        restore(case, target, at(now + 60))
    with pytest.raises(RestoreError, match="earlier than the first stored transaction"):
        restore(case, target, at(now - 86400 * 400))
    with pytest.raises(RestoreError, match=f"{named}, of .* cannot be applied here: it names original") as caught:
        restore(case, target, at(now), known_at(now))
    assert f"--before-gtid {named}" in caught.value.hint
    poor = server.create("poor", "poor", "password")
    with pytest.raises(RestoreError, match="lacks BINLOG_ADMIN and SESSION_VARIABLES_ADMIN") as caught:
        restore(case, replace(poor, database="copy"), at(now), known_at(now))
    assert "GRANT BINLOG_ADMIN, SESSION_VARIABLES_ADMIN ON *.* TO 'poor'@'%'" in caught.value.hint
    assert ("copy",) not in server.execute("SHOW DATABASES")

    # Just those two, and the database, are enough.
    server.execute("GRANT BINLOG_ADMIN, SESSION_VARIABLES_ADMIN ON *.* TO poor@'%'")
    server.execute("GRANT ALL ON copy.* TO poor@'%'")
    done = restore(case, replace(poor, database="copy"), parse_until(None, named))
    assert server.execute("SELECT v FROM copy.one") == [("first",), ("second",)]
    assert str(done.survey.left_out) == str(good - before).rpartition("-")[0]
    assert server.execute("SHOW COLUMNS FROM original.two LIKE 'w'"), "the original is as it was"
    for user in ("poor", "left_out"):
        server.execute("DROP USER %s@'%%'", user)
    server.execute("DROP DATABASE poor")


def test_a_server_that_folds_names(tmp_path: Path, clients: ClientPrograms, bucket: S3URL) -> None:
    """Its log has the name of the database in lower case, whatever the connection string says."""
    with scratch("folds") as directory:
        initialize(directory, "--lower-case-table-names=1")
        with MysqlServer(data=directory / "data", settings={"lower_case_table_names": "1"}) as server:
            url = server.create("WandB", "shipper", "password")
            server.execute("GRANT ALL ON *.* TO shipper@'%'")
            server.execute("CREATE TABLE One (id INT PRIMARY KEY, v INT)", database="WandB")
            server.execute("CREATE VIEW Two AS SELECT * FROM One", database="WandB")
            case = shipping_case(tmp_path, url, clients, bucket)
            with shipping(case) as host:
                case.run()
                server.execute("INSERT INTO One VALUES (1, 1)", database="WandB")
                server.execute("ALTER TABLE one ADD COLUMN w INT", database="WANDB")
                server.execute("INSERT INTO ONE VALUES (2, 2, 2)", database="wandb")
                host.until_stored(executed(server))
                now = time.time()
                restore(case, server.url("shipper", "Copy"), at(now), known_at(now))
                assert server.execute("SELECT * FROM copy.one") == [(1, 1, None), (2, 2, 2)]
                server.execute("DROP TABLE WANDB.one")
                host.until_stored(executed(server))
            now = time.time()
            with pytest.raises(RestoreError, match="it changes wandb from within another database"):
                restore(case, server.url("shipper", "Another"), at(now), known_at(now))


@pytest.mark.parametrize(
    ("statements", "refusal"),
    [
        # As mysqldump --add-drop-database writes it.
        (("/*!40000 DROP DATABASE IF EXISTS `original`*/",), "it is DROP DATABASE original"),
        (
            ("SET SESSION sql_mode = 'ANSI_QUOTES'", 'ALTER TABLE "original"."two" DROP COLUMN "v"'),
            "it names original, which is to be restored as copy",
        ),
    ],
)
def test_a_copy_never_costs_the_original(
    tmp_path: Path,
    server: MysqlServer,
    url: MysqlURL,
    target: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    statements: tuple[str, ...],
    refusal: str,
) -> None:
    """What people work with is on the same server: it is loaded anew, and then somebody looks at an earlier moment."""
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host:
        case.run()
        with server.connect("original") as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        server.execute("CREATE DATABASE IF NOT EXISTS original")
        server.execute("DROP TABLE IF EXISTS two", database="original")
        server.execute("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(200))", database="original")
        server.execute("INSERT INTO two VALUES (1, 'worked with')", database="original")
        host.until_stored(executed(server))
    now = time.time()
    with pytest.raises(RestoreError, match=f"cannot be applied here: {refusal}"):
        restore(case, target, at(now), known_at(now))
    assert server.execute("SELECT v FROM original.two") == [("worked with",)]
    assert ("copy",) not in server.execute("SHOW DATABASES")


def test_a_flush_is_left_out(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """It takes a right of its own, and changes no data."""
    case = shipping_case(tmp_path, url, clients, bucket)
    poor = server.create("poor", "poor", "password")
    server.execute("GRANT BINLOG_ADMIN, SESSION_VARIABLES_ADMIN ON *.* TO poor@'%'")
    server.execute("GRANT ALL ON copy.* TO poor@'%'")
    with shipping(case) as host:
        case.run()
        before = executed(server)
        server.execute("FLUSH PRIVILEGES", database="original")
        assert executed(server) != before, "the server logs it"
        server.execute("INSERT INTO one (v) VALUES ('after')", database="original")
        host.until_stored(executed(server))
    now = time.time()
    restore(case, replace(poor, database="copy"), at(now), known_at(now))
    assert server.execute("SELECT v FROM copy.one") == [("after",)]
    server.execute("DROP USER poor@'%'")
    server.execute("DROP DATABASE poor")


def test_retention_removes_what_no_backup_needs(case: Case, server: MysqlServer) -> None:
    with shipping(case) as host:
        host.until(lambda: bool(host.catalog()), "the first piece")
        for value in ("first", "second"):
            server.execute("INSERT INTO one (v) VALUES (%s)", value, database="original")
            server.execute("FLUSH BINARY LOGS")
        host.until_stored(executed(server))
        host.until(lambda: len(host.catalog()) == 3, "three files")
        case.run()
        (left,) = host.catalog()
        assert left.id.name == host.service.report.file
        server.execute("INSERT INTO one (v) VALUES ('third')", database="original")
        host.until(lambda: executed(server) <= host.shipped(), "it goes on")
