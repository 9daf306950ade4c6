"""A restore to a moment gives exactly the state of that moment, over whatever happened meanwhile, or says why not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.age_key import Key
from tests.integration.backup_case import Case, ignore
from tests.integration.binlog_case import REPLICATION, executed, replicate, shipping, shipping_case, wait_for
from tests.integration.moment_case import at
from tests.testbed.cache import remove_tree
from tests.testbed.mysql import MysqlServer, initialize
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.program import WORK
from tests.testbed.proxy import Proxy
from tests.testbed.scratch import scratch
from wbagent.binlog.layout import RECORD
from wbagent.binlog.record import parse_record
from wbagent.checks.backup.planned import binary_logs
from wbagent.checks.check import Subject
from wbagent.checks.scratch import Scratch
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.errors import RestoreError
from wbagent.restore.history import NOTHING_KNOWN, Known
from wbagent.restore.point_in_time import PointInTime, RolledForward
from wbagent.restore.until import Until, microseconds_of, parse_until, show


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with MysqlServer() as running:
        running.create("unused", "admin", "password")
        running.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        yield running


@pytest.fixture
def url(server: MysqlServer) -> Iterator[MysqlURL]:
    made = server.create("original", "shipper", "password")
    server.execute(f"GRANT {REPLICATION}, RELOAD, PROCESS, SHOW_ROUTINE ON *.* TO shipper@'%'")
    server.execute("CREATE TABLE one (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200))", database="original")
    server.execute("CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(200))", database="original")
    yield made
    for name in ("original", "copy"):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.execute("DROP USER shipper@'%'")


@pytest.fixture
def case(tmp_path: Path, url: MysqlURL, clients: ClientPrograms, bucket: S3URL) -> Case:
    return shipping_case(tmp_path, url, clients, bucket)


@pytest.fixture
def target(server: MysqlServer) -> MysqlURL:
    return server.url("admin", "copy")


def restore(case: Case, target: MysqlURL, until: Until, known: Known = NOTHING_KNOWN) -> RolledForward:
    way = PointInTime(case.store, case.settings.backup, until, None, ignore)
    return way.restore(target, known=known)


def known_at(moment: float) -> Known:
    """What a host knows that has stored everything until then (seconds since the epoch)."""
    return Known(microseconds_of(moment))


def state(server: MysqlServer, database: str) -> list[object]:
    return [
        *server.execute("SELECT * FROM one ORDER BY id", database=database),
        *server.execute("SELECT * FROM two ORDER BY id", database=database),
    ]


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


def test_numbers_that_were_given_twice_are_not_mixed(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """Nobody shipped when the server forgot its history, and had executed as much again when somebody did."""
    case = shipping_case(tmp_path, url, clients, bucket)
    server.execute("RESET BINARY LOGS AND GTIDS")
    server.execute("INSERT INTO one (v) VALUES ('old')", database="original")
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('old')", database="original")
        host.until_stored(executed(server))
    # A file's name holds the second of its making.
    time.sleep(1)
    server.execute("RESET BINARY LOGS AND GTIDS")
    for number in range(5):
        server.execute("INSERT INTO one (v) VALUES (%s)", f"new {number}", database="original")
    with shipping(case) as host:
        host.until(lambda: "history began anew" in host.service.report.gap, "the gap is seen")
        host.until(lambda: not host.service.report.behind, "it goes on")
        host.until(lambda: bool(host.backups), "a backup is begun")
        assert not host.service.report.covered
        with pytest.raises(RestoreError, match="to number its transactions anew"):
            restore(case, target, at(time.time()), known_at(time.time()))
        assert ("copy",) not in server.execute("SHOW DATABASES")
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('after')", database="original")
        host.until_stored(executed(server))
    wanted, now = state(server, "original"), time.time()
    restore(case, target, at(now), known_at(now))
    assert state(server, "copy") == wanted


def test_a_gap_is_not_crossed(case: Case, server: MysqlServer, target: MysqlURL) -> None:
    with shipping(case) as host:
        case.run()
        server.execute("INSERT INTO one (v) VALUES ('stored')", database="original")
        host.until_stored(executed(server))
        stored_at = host.catalog()[-1].mark.last_at / 1e6
    moment = time.time()
    server.execute("INSERT INTO one (v) VALUES ('lost')", database="original")
    server.execute("FLUSH BINARY LOGS")
    ((newest, *_),) = server.execute("SHOW BINARY LOGS")[-1:]
    server.execute("PURGE BINARY LOGS TO %s", newest)
    with shipping(case) as host:
        server.execute("INSERT INTO one (v) VALUES ('after')", database="original")
        host.until(lambda: bool(host.service.report.gap), "the gap is seen")
        host.until(lambda: not host.service.report.behind, "it goes on")
    with pytest.raises(RestoreError, match=r"without a gap: after backup \S+ 1 transactions are missing"):
        restore(case, target, at(time.time()), known_at(time.time()))
    with pytest.raises(RestoreError, match="lies in a gap: 1 transactions"):
        restore(case, target, at(moment), known_at(time.time()))
    restore(case, target, at(stored_at), known_at(time.time()))
    assert server.execute("SELECT v FROM copy.one") == [("stored",)]
    case.run()
    server.execute("INSERT INTO one (v) VALUES ('behind it')", database="original")
    with shipping(case) as host:
        host.until(lambda: executed(server) <= host.shipped(), "everything else is stored")
    for command in ("binlog", "status"), ("backup", "list"):
        shown = case.command(*command).stdout
        assert shown.count("any moment from") == 2, shown
        assert "; 1 transactions of then are not stored" in shown


def test_a_piece_that_is_gone_or_damaged_is_never_restored_over(
    tmp_path: Path,
    server: MysqlServer,
    url: MysqlURL,
    target: MysqlURL,
    clients: ClientPrograms,
    bucket: S3URL,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = shipping_case(tmp_path, url, clients, bucket)
    with shipping(case) as host:
        case.run()
        moments = []
        for row in "abc":
            server.execute("INSERT INTO one (v) VALUES (%s)", row, database="original")
            host.until_stored(executed(server))
            moments.append(host.catalog()[-1].mark.last_at / 1e6)
        host.until(lambda: host.service.report.covered_at > moments[-1] and not host.service.report.behind, "a note")
        file = host.catalog()[-1]
        service = host.service
    after = datetime.fromtimestamp(service.report.covered_at, UTC).isoformat()
    into = ("--into", str(target), "--overwrite")
    stem = file.pieces[-2].stem(file.id, case.settings.backup.owner)
    record = parse_record(b"".join(case.store.get(stem + RECORD)), stem)
    whole = b"".join(case.store.get(stem + record.suffix))

    case.store.put(stem + record.suffix, whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    damaged = case.command("restore", "--at", after, *into)
    assert (damaged.returncode, "is not what was stored" in damaged.stderr) == (74, True), damaged.stderr
    assert f'--at "{show(round(moments[0] * 1e6))}"' in damaged.stderr
    assert restore(case, target, at(moments[0])).survey.count == 1, "what lies before the damage can be had"
    server.execute("DROP DATABASE copy")

    case.store.delete(stem + record.suffix)
    gone = case.command("restore", "--at", after, *into)
    assert (gone.returncode, "2 transactions that this host had stored are gone" in gone.stderr) == (74, True), gone
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(case.state_directory))
    found = binary_logs(case.settings, lambda: service.report.noted_at)(Subject(case.settings, Scratch()))
    assert (found.verdict, "2 transactions that were stored are gone" in found.found) == ("fail", True), found
    assert "systemctl restart wbagent-binlog" in case.command("binlog", "status").stdout
    assert server.execute("SHOW DATABASES LIKE 'copy'") == []

    with shipping(case) as host:
        host.until(lambda: executed(server) <= host.shipped(), "it is stored again")
        host.until(lambda: not host.service.report.behind, "a note")
    assert "are gone" not in case.command("binlog", "status").stdout
    done = case.command("restore", "--at", after, *into)
    assert done.returncode == 0, done.stderr
    assert server.execute("SELECT v FROM copy.one ORDER BY id") == [("a",), ("b",), ("c",)]

    last = host.catalog()[-1]
    key = last.pieces[-1].stem(last.id, case.settings.backup.owner) + RECORD
    case.store.put(key, b"{}")
    refused = case.command("restore", "--at", after, *into)
    assert refused.returncode == 74, refused
    assert f"the record {key} cannot be read" in refused.stderr
    assert "systemctl restart wbagent-binlog" in refused.stderr
    told = case.command("binlog", "status")
    assert (told.returncode, f"the record {key} cannot be read" in told.stdout) == (0, True), told
    until = host.catalog()[-1].mark.last_at
    assert case.command("restore", "--at", show(until), *into).returncode == 0, "what lies before it can be had"
    with shipping(case) as host:
        host.until(lambda: executed(server) <= host.shipped(), "it is stored again")
        host.until(lambda: not host.service.report.behind, "a note")
    assert "cannot be read" not in case.command("binlog", "status").stdout
    assert case.command("restore", "--at", after, *into).returncode == 0
    assert server.execute("SELECT v FROM copy.one ORDER BY id") == [("a",), ("b",), ("c",)]


def test_over_a_failover_into_the_original_name_on_another_server(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """The old primary had stored a transaction that the new one never got: it is in no state of after the failover."""
    with MysqlServer() as replica, Proxy((server.address, server.port)) as name:
        # As a restored copy would be: the same account and rows, and the history from here on.
        replica.create("original", "shipper", "password")
        replica.execute(f"GRANT {REPLICATION}, RELOAD, PROCESS, SHOW_ROUTINE ON *.* TO shipper@'%'")
        for table in ("one", "two"):
            ((_, made),) = server.execute(f"SHOW CREATE TABLE original.{table}")
            replica.execute(made, database="original")
        replicate(server, replica)
        case = shipping_case(tmp_path, replace(url, host=name.address, port=name.port), clients, bucket)
        with shipping(case) as host:
            server.execute("INSERT INTO one (v) VALUES ('before')", database="original")
            host.until_stored(executed(server))
            case.run()
            server.execute("ALTER TABLE original.one ADD COLUMN w INT DEFAULT 5", database="original")
            server.execute("INSERT INTO one (v) VALUES ('on the old one')", database="original")
            wait_for(replica, server)
            replica.execute("STOP REPLICA")
            server.execute("INSERT INTO two VALUES (1, 'lost')", database="original")
            host.until_stored(executed(server))
            lost_at = time.time()
            name.turn_to((replica.address, replica.port))
            name.cut()
            replica.execute("INSERT INTO one (v) VALUES ('on the new one')", database="original")
            host.until(lambda: "are not on this server" in host.service.report.gap, "what was lost is told")
            host.until(lambda: executed(replica) <= host.shipped(), "stored")
        moment = time.time()
        with MysqlServer() as other:
            other.create("unused", "admin", "password")
            other.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
            restore(case, other.url("admin", "original"), at(moment), known_at(moment))
            assert state(other, "original") == state(replica, "original")
            other.execute("DROP DATABASE original")
            restore(case, other.url("admin", "original"), at(lost_at), known_at(moment))
            assert state(other, "original") == state(server, "original"), "it was the state then"


def test_a_server_that_was_restored_from_a_clone(
    tmp_path: Path, server: MysqlServer, url: MysqlURL, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """What it had executed as the old server is in none of its binary logs, not even at their heads."""
    if not server.execute("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone'"):
        server.execute("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")
    cloned = server.directory / "scratch/cloned"
    with Proxy((server.address, server.port)) as name:
        case = shipping_case(tmp_path, replace(url, host=name.address, port=name.port), clients, bucket)
        with shipping(case) as host:
            case.run()
            host.until_stored(executed(server))
        server.execute("INSERT INTO one (v) VALUES ('never stored')", database="original")
        server.execute(f"CLONE LOCAL DATA DIRECTORY = '{WORK}/scratch/cloned'")
        with MysqlServer(data=cloned) as restored:
            remove_tree(cloned)
            name.turn_to((restored.address, restored.port))
            with shipping(case) as host:
                restored.execute("INSERT INTO one (v) VALUES ('restored')", database="original")
                restored.execute("FLUSH BINARY LOGS")
                host.until(lambda: executed(restored) <= host.shipped(), "everything is stored")
                assert "no longer in the server's binary logs" in host.service.report.gap
                host.until(lambda: len(host.backups) == 1, "a backup is started")
                assert not host.service.report.covered
                case.run()
                restored.execute("INSERT INTO one (v) VALUES ('after')", database="original")
                host.until(lambda: executed(restored) <= host.shipped(), "everything is stored")
                host.service._backup_at = 0.0
                host.until(lambda: host.service.report.covered, "the backup covers the gap")
            assert "any moment from" in case.command("binlog", "status").stdout
            moment = time.time()
            restore(case, target, at(moment), known_at(moment))
            assert state(server, "copy") == state(restored, "original")


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
