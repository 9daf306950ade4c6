"""A backup of a real MySQL server into a real S3 store: what is stored, what is told, and what ends a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.integration.backup_case import Case, Once, child, make_case, processes_that_show
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.sample import fill
from wbagent.backup.job import BackupFailedError, NotYetError
from wbagent.backup.manifest import parse_manifest
from wbagent.backup.progress import Progress
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.errors import BackupError
from wbagent.monitor.backup_facts import LAST_FAILURE, waits

PASSWORD = "s3cret/with+all:of@it#%"
# Enough for several parts in the store, few enough to be quick.
MEGABYTES = 24


@pytest.fixture(scope="module")
def sample(mysql: MysqlServer) -> Iterator[MysqlURL]:
    """A filled database whose account has the rights of W&B's guide and those for the position."""
    url = mysql.create("backup_sample", "backup_user", PASSWORD)
    mysql.execute("GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS, SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with mysql.connect(url.database) as connection:
        fill(connection, MEGABYTES)
    yield url
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


@pytest.fixture
def case(tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL) -> Case:
    return make_case(tmp_path / "host1", sample, clients, bucket)


def slowly(case: Case, mysql: MysqlServer, proxy: Proxy) -> Case:
    """The same with the database behind a slow link, so that there is time to interfere, and in many objects."""
    url = case.settings.database_url()
    assert url
    through = MysqlURL(url.user, url.password, proxy.address, proxy.port, url.database)
    programs = ClientPrograms(Path(case.settings.backup.mysqldump), Path(case.settings.backup.mysql))
    return make_case(case.directory / "slow", through, programs, case.settings.backup.destination, object_size="256K")


@pytest.fixture
def slow(case: Case, mysql: MysqlServer) -> Iterator[Case]:
    with Proxy((mysql.address, mysql.port)) as proxy:
        proxy.limit_after(0, 12e6)
        yield slowly(case, mysql, proxy)


def assert_nothing_left(case: Case, ceph: Ceph, bucket: S3URL) -> None:
    assert case.stored() == {}
    assert ceph.keys(bucket.bucket) == []
    assert ceph.unfinished_uploads(bucket.bucket) == []
    assert not [each for each in psutil.Process().children() if "mysqldump" in " ".join(each.cmdline())]


def failure(case: Case) -> dict[str, object]:
    with case.state() as state:
        fact = state.get("backup.last_failure")
        assert fact
        assert state.get("backup.last") is None
        value: dict[str, object] = fact.value
        return value


def test_backup_is_stored_with_its_commit_record_and_told(case: Case, ceph: Ceph, bucket: S3URL) -> None:
    seen: list[Progress] = []
    outcome = case.run(seen.append)

    manifest = outcome.manifest
    prefix = f"{bucket.prefix}/host1/backups/{manifest.id}"
    assert ceph.keys(bucket.bucket) == [f"{prefix}/database.sql.zst", f"{prefix}/manifest.json"]
    stored = ceph.client().get_object(Bucket=bucket.bucket, Key=f"{prefix}/manifest.json")["Body"].read()
    assert parse_manifest(stored, "manifest") == manifest
    head = ceph.client().head_object(Bucket=bucket.bucket, Key=f"{prefix}/database.sql.zst")
    assert head["ContentLength"] == manifest.data.size
    assert int(head["ETag"].strip('"').rpartition("-")[2]) > 1, "the sample is large enough for several parts"
    assert manifest.data.plain_size > 20e6
    assert [table.name for table in manifest.tables] == sorted(table.name for table in manifest.tables)
    assert all(table.rows is not None for table in manifest.tables)
    assert manifest.position
    assert manifest.position.gtid_set
    assert manifest.routines
    assert manifest.warnings == ("FLOAT columns keep 6 significant digits in a dump, the rest is lost: runs.loss",)
    assert {progress.stage for progress in seen} == {"dumping", "reading back"}
    with case.state() as state:
        last = state.get("backup.last")
        rows = state.get("backup.list")
    assert last
    assert rows
    assert (last.value["id"], last.value["off_site"], last.value["tables"]) == (manifest.id, True, len(manifest.tables))
    assert [row["id"] for row in rows.value] == [manifest.id]
    assert bucket.secret_key not in json.dumps([last.value, rows.value])


def test_password_is_in_no_process_arguments_or_environment(slow: Case) -> None:
    shown: list[str] = []
    look = Once("dumping", lambda: shown.extend(processes_that_show(PASSWORD)))
    command = ["sh", "-c", "echo; read line", PASSWORD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as careless:
        # Popen returns a moment before the kernel shows what was executed.
        assert careless.stdout
        careless.stdout.readline()
        assert processes_that_show(PASSWORD), "the search finds what there is"
        careless.kill()
    slow.run(look)
    assert look.done
    assert shown == []


def test_dump_killed_half_way(slow: Case, ceph: Ceph, bucket: S3URL) -> None:
    there: list[str] = []

    def kill(progress: Progress) -> None:
        if progress.stored > 600_000 and not there:
            there.extend(ceph.keys(bucket.bucket))
            child("mysqldump").kill()

    with pytest.raises(BackupFailedError, match="killed by signal 9"):
        slow.run(kill)
    assert len(there) > 1, "whole objects were stored by then"
    assert_nothing_left(slow, ceph, bucket)
    assert "killed by signal 9" in str(failure(slow)["reason"])


def test_server_gone_half_way(case: Case, mysql: MysqlServer, ceph: Ceph, bucket: S3URL) -> None:
    with Proxy((mysql.address, mysql.port)) as proxy:
        proxy.limit_after(0, 12e6)
        slow = slowly(case, mysql, proxy)
        with pytest.raises(BackupFailedError, match="Lost connection"):
            slow.run(Once("dumping", proxy.refuse))
    assert_nothing_left(slow, ceph, bucket)


def test_sigterm_ends_a_run_in_order(slow: Case, ceph: Ceph, bucket: S3URL) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(BackupFailedError, match="ended by SIGTERM"):
        slow.run(Once("dumping", lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert_nothing_left(slow, ceph, bucket)
    assert signal.getsignal(signal.SIGTERM) == before


def test_time_limit_ends_a_run(case: Case, mysql: MysqlServer, ceph: Ceph, bucket: S3URL) -> None:
    with Proxy((mysql.address, mysql.port)) as proxy:
        proxy.limit_after(0, 2e6)
        slow = slowly(case, mysql, proxy)
        slow = Case(
            slow.directory,
            slow.settings.model_copy(update={"backup": slow.settings.backup.model_copy(update={"time_limit": 1.0})}),
        )
        with pytest.raises(BackupFailedError, match="time_limit"):
            slow.run()
    assert_nothing_left(slow, ceph, bucket)


def test_one_run_at_a_time(slow: Case) -> None:
    refused: list[str] = []

    def second() -> None:
        with pytest.raises(BackupError) as caught:
            slow.run()
        refused.append(caught.value.message)

    slow.run(Once("dumping", second))
    assert refused == ["another backup runs on this host"]
    assert list(slow.stored().values()) == ["complete"]


@pytest.mark.parametrize(
    ("table", "told"), [("runs", "Error in field count"), ("audit", "1 tables were altered.*: audit")]
)
def test_table_altered_during_the_dump(
    slow: Case, mysql: MysqlServer, ceph: Ceph, bucket: S3URL, table: str, told: str
) -> None:
    """`runs` is still to come at that time; `audit` is dumped already, and mysqldump has no complaint."""

    def migrate() -> None:
        mysql.execute(f"ALTER TABLE backup_sample.{table} ADD COLUMN added INT, ALGORITHM=COPY")

    try:
        with pytest.raises(BackupFailedError, match=told) as caught:
            slow.run(Once("dumping", migrate))
    finally:
        mysql.execute(f"ALTER TABLE backup_sample.{table} DROP COLUMN added")
    assert "migration" in caught.value.hint
    assert_nothing_left(slow, ceph, bucket)


def test_guide_account_backs_up_without_position(
    tmp_path: Path, mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    with mysql.connect(database.database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE one (id INT PRIMARY KEY)")
    outcome = make_case(tmp_path, database, clients, bucket).run()
    assert outcome.manifest.position is None
    account = f"'{database.user}'@'%'"
    assert f"GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO {account};" in outcome.manifest.warnings[0]


@contextmanager
def long_statement(mysql: MysqlServer, database: str) -> Iterator[None]:
    """A statement that reads a table of the database, and to all appearance has done so for a minute."""
    with mysql.connect(database) as reader, reader.cursor() as cursor:
        cursor.execute("CREATE TABLE one (id INT PRIMARY KEY)")
        cursor.execute("INSERT INTO one VALUES (1)")
        # How long a statement has run is told by its session's clock, which may be set: nobody has to wait.
        cursor.execute("SET TIMESTAMP = UNIX_TIMESTAMP() - 60")
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(cursor.execute, "SELECT SLEEP(300) FROM one")
            try:
                while not mysql.execute("SELECT 1 FROM performance_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"):
                    assert not reading.done()
                yield
            finally:
                mysql.execute(f"KILL QUERY {reader.thread_id()}")  # type: ignore[no-untyped-call]


def test_no_lock_is_asked_for_behind_a_long_statement(
    tmp_path: Path, mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """The flush that the position needs would stop everybody who wants the table that is being read."""
    mysql.execute("GRANT FLUSH_TABLES, REPLICATION CLIENT, PROCESS ON *.* TO %s@'%%'", database.user)
    with long_statement(mysql, database.database):
        warnings = make_case(tmp_path, database, clients, bucket).run().manifest.warnings
    assert warnings
    assert "1 statements have run for long" in warnings[0]


def test_empty_database_is_refused_where_a_backup_says_that_it_was_not_always(
    tmp_path: Path, mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    """Until then it waits: the server has not made its tables yet, which is nobody's failure."""
    case = make_case(tmp_path, database, clients, bucket)
    with pytest.raises(NotYetError, match=f"no tables in the database '{database.database}'"):
        case.run()
    with case.state() as state:
        assert (state.get(LAST_FAILURE), waits(state)) == (None, True)
    mysql.execute("CREATE TABLE one (id INT PRIMARY KEY)", database=database.database)
    case.run()
    mysql.execute("DROP TABLE one", database=database.database)
    with case.state() as state:
        assert not waits(state)
    for told_by in ("the state file", "the store"):
        if told_by == "the store":
            (case.state_directory / "state.db").unlink()
        with pytest.raises(BackupFailedError, match="has no tables") as caught:
            case.run()
        assert "wbagent restore latest" in caught.value.hint


def test_routine_that_the_account_may_not_read(
    tmp_path: Path, mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    with mysql.connect(database.database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE one (id INT PRIMARY KEY)")
        cursor.execute("CREATE PROCEDURE hidden() SELECT 1")
    with pytest.raises(BackupFailedError, match="may not read PROCEDURE hidden") as caught:
        make_case(tmp_path, database, clients, bucket).run()
    assert "GRANT SHOW_ROUTINE" in caught.value.hint


def test_mariadb_program_is_refused(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, mariadb_mysqldump: Path, bucket: S3URL, ceph: Ceph
) -> None:
    wrong = ClientPrograms(mariadb_mysqldump, clients.mysql)
    with pytest.raises(BackupFailedError, match="is MariaDB's program") as caught:
        make_case(tmp_path, sample, wrong, bucket).run()
    assert "mysql-community-client" in caught.value.hint
    assert ceph.keys(bucket.bucket) == []


@pytest.mark.parametrize("missing", ["database", "store"])
def test_nobody_listens(tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL, missing: str) -> None:
    with Proxy(("127.0.0.1", 9)) as proxy:
        port = proxy.port
    if missing == "database":
        url, destination = MysqlURL(sample.user, PASSWORD, "127.0.0.1", port, sample.database), bucket
    else:
        keys = (bucket.access_key, bucket.secret_key)
        url, destination = sample, S3URL(*keys, "127.0.0.1", port, bucket.bucket, "", bucket.options)
    case = make_case(tmp_path, url, clients, destination, retry_for="1s")
    with pytest.raises(BackupFailedError, match=r"127\.0\.0\.1") as caught:
        case.run()
    assert caught.value.hint
    assert failure(case)["reason"]


@pytest.mark.parametrize("wrong", ["password", "secret key", "access key", "bucket"])
def test_wrong_credentials_are_named_and_not_shown(
    tmp_path: Path, sample: MysqlURL, clients: ClientPrograms, bucket: S3URL, wrong: str
) -> None:
    url, access, secret, name = sample, bucket.access_key, bucket.secret_key, bucket.bucket
    expected = {"password": "1045", "secret key": "SignatureDoesNotMatch", "access key": "InvalidAccessKeyId"}
    match wrong:
        case "password":
            url = MysqlURL(sample.user, "wrong-one", sample.host, sample.port, sample.database)
        case "secret key":
            secret = "wrong-one"
        case "access key":
            access = "NOSUCHKEY"
        case _:
            name = "no-such-bucket"
    destination = S3URL(access, secret, bucket.host, bucket.port, name, bucket.prefix, bucket.options)
    with pytest.raises(BackupFailedError, match=expected.get(wrong, "NoSuchBucket")) as caught:
        make_case(tmp_path, url, clients, destination).run()
    for secret_text in ("wrong-one", PASSWORD, bucket.secret_key):
        assert secret_text not in caught.value.message + caught.value.hint


def test_command_line_makes_lists_and_shows(case: Case) -> None:
    made = case.command("backup", "run", "--in-process")
    assert (made.returncode, made.stdout) == (0, "")
    assert "is complete" in made.stderr
    listed = json.loads(case.command("backup", "list", "--json").stdout)
    assert listed["off_site"] is True
    (row,) = listed["backups"]
    shown = case.command("backup", "show", "latest", "--json")
    assert parse_manifest(shown.stdout.encode(), "shown").id == row["id"]
    text = case.command("backup", "show", row["id"]).stdout
    assert f"backup     {row['id']} of host1" in text
    assert case.command("backup", "show", "20000101T000000Z").returncode == 74
    # As on the host that is to replace this one, under a name of its own.
    assert case.command("backup", "list", "--owner", "host1").stdout == case.command("backup", "list").stdout
    assert "--owner HOST" in case.command("backup", "list", "--owner", "host2").stdout
    assert "--owner HOST" in case.command("backup", "show", "latest", "--owner", "host2").stderr
