"""A restore gives back what was backed up, bit for bit, into an empty database only, and only what was proven."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest

from tests.integration.backup_case import Case, Once, child, ignore, make_case, processes_that_show, proof_of
from tests.integration.two_tables import TABLES, make_two_tables, writer
from tests.testbed.ceph import Ceph
from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from tests.testbed.proxy import Proxy
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from wbagent.backup.layout import manifest_key, object_key
from wbagent.backup.proof import write_proof
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.database.unfinished import mark, unmark
from wbagent.errors import BackupError, DatabaseError, RestoreError
from wbagent.restore.run import restore_backup

DUMP = "database.sql.zst"
PASSWORD = "admin/pass+word:with@all#of%it\\\"'"


@pytest.fixture(scope="module")
def empty_server() -> Iterator[MysqlServer]:
    """A second MySQL server, with nothing in it."""
    with MysqlServer() as server:
        server.create("unused", "admin", PASSWORD)
        server.execute("GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        yield server


@pytest.fixture
def target(empty_server: MysqlServer) -> Iterator[MysqlURL]:
    """A database of the second server that does not exist yet."""
    yield empty_server.url("admin", "restored")
    empty_server.execute("DROP DATABASE IF EXISTS restored")


@pytest.fixture(scope="module")
def backed_up(
    mysql: MysqlServer, clients: ClientPrograms, ceph: Ceph, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    """A host with one backup of the sample, made as the guide's account with what it takes to read routines."""
    url = mysql.create("restore_sample", "restore_user", "password")
    mysql.execute("GRANT SHOW_ROUTINE ON *.* TO %s@'%%'", url.user)
    with mysql.connect(url.database) as connection:
        fill(connection, 12)
    ceph.create_bucket("restore-sample")
    case = make_case(tmp_path_factory.mktemp("backed-up") / "host1", url, clients, ceph.url("restore-sample", "p"))
    case.run()
    yield case
    mysql.execute(f"DROP DATABASE `{url.database}`")
    mysql.execute("DROP USER %s@'%%'", url.user)


def restore(case: Case, target: MysqlURL, name: str = "latest") -> None:
    restore_backup(case.store, case.settings.backup, name, target, ignore)


def databases(server: MysqlServer) -> set[str]:
    return {str(row[0]) for row in server.execute("SHOW DATABASES")}


def test_everything_is_equal_in_an_empty_server(
    backed_up: Case, mysql: MysqlServer, empty_server: MysqlServer, target: MysqlURL
) -> None:
    done = restore_backup(backed_up.store, backed_up.settings.backup, "latest", target, ignore)
    with mysql.connect() as before, empty_server.connect() as after:
        expected, found = fingerprint(before, "restore_sample"), fingerprint(after, "restored")
    assert found == expected
    assert any(name.startswith("trigger ") for name in found)
    assert any(name.startswith("event ") for name in found)
    assert any(name.startswith(("procedure ", "function ")) for name in found)
    assert any(name.startswith("view ") for name in found)
    assert done.created
    assert done.compared.counted == done.tables
    assert empty_server.execute(
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = 'restored'"
    ) == [("utf8mb4", "utf8mb4_general_ci")]


def test_dumped_under_writers_it_is_of_one_moment(
    backed_up: Case, mysql: MysqlServer, empty_server: MysqlServer, target: MysqlURL, tmp_path: Path
) -> None:
    """Between the two tables that are written in one transaction the dump has a large one."""
    url = backed_up.settings.database_url()
    assert url
    make_two_tables(mysql, url.database)
    programs = ClientPrograms(Path(backed_up.settings.backup.mysqldump), Path(backed_up.settings.backup.mysql))
    case = make_case(tmp_path / "writers", url, programs, engine="mysqldump")
    try:
        with writer(mysql, url.database):
            manifest = case.run().manifest
        assert manifest.engine == "mysqldump"
        ((went_on,),) = mysql.execute(f"SELECT COUNT(*) FROM {TABLES[0]}", database=url.database)
        restore(case, target)
        one, two = (
            empty_server.execute(f"SELECT COUNT(*), MAX(n) FROM {name}", database="restored") for name in TABLES
        )
        assert one == two != [(0, None)]
        assert one[0][0] < went_on
    finally:
        for name in TABLES:
            mysql.execute(f"DROP TABLE {name}", database=url.database)


def test_restored_rows_reach_the_binary_log(backed_up: Case, empty_server: MysqlServer, target: MysqlURL) -> None:
    """A restored primary has to tell its replicas; mysqldump's own header would switch that off."""
    before = empty_server.execute("SELECT @@GLOBAL.gtid_executed")
    restore(backed_up, target)
    assert empty_server.execute("SELECT @@GLOBAL.gtid_executed") != before


def test_database_that_holds_anything_is_refused(backed_up: Case, empty_server: MysqlServer, target: MysqlURL) -> None:
    empty_server.execute("CREATE DATABASE restored")
    empty_server.execute("CREATE VIEW restored.only_a_view AS SELECT 1 AS one")
    with pytest.raises(RestoreError, match="is not empty"):
        restore(backed_up, target)
    assert len(empty_server.execute("SHOW TABLES", database="restored")) == 1


def test_a_database_that_is_to_be_replaced_is_what_was_backed_up_and_nothing_else(
    backed_up: Case, mysql: MysqlServer, empty_server: MysqlServer, target: MysqlURL, ceph: Ceph, tmp_path: Path
) -> None:
    empty_server.execute("CREATE DATABASE restored CHARACTER SET latin1")
    empty_server.execute("CREATE TABLE restored.left_by_a_migration (id INT PRIMARY KEY)")
    told: list[str] = []
    bucket = ceph.url("restore-tampered-replacing", "p")
    ceph.create_bucket("restore-tampered-replacing")
    bad = _copy_with_one_byte_changed(backed_up, ceph, bucket, tmp_path)
    with pytest.raises(RestoreError, match="SHA-256"):
        restore_backup(
            bad.store, bad.settings.backup, "latest", target, ignore, replacing=lambda: told.append("too early")
        )
    assert told == []
    assert empty_server.execute("SHOW TABLES FROM restored") == [("left_by_a_migration",)]

    restore_backup(
        backed_up.store, backed_up.settings.backup, "latest", target, ignore, replacing=lambda: told.append("now")
    )
    assert told == ["now"]
    with mysql.connect() as before, empty_server.connect() as after:
        assert fingerprint(after, "restored") == fingerprint(before, "restore_sample")


def test_object_that_was_tampered_with_is_refused_before_anything_is_touched(
    backed_up: Case, empty_server: MysqlServer, target: MysqlURL, ceph: Ceph, bucket: S3URL, tmp_path: Path
) -> None:
    (record,) = backed_up.catalog()
    case = _copy_with_one_byte_changed(backed_up, ceph, bucket, tmp_path)
    assert case.stored() == {record.id: "complete"}, "size and commit record look right"
    with pytest.raises(RestoreError, match="is not what was stored"):
        restore(case, target)
    assert "restored" not in databases(empty_server)


def _copy_with_one_byte_changed(backed_up: Case, ceph: Ceph, bucket: S3URL, tmp_path: Path) -> Case:
    (record,) = backed_up.catalog()
    client, source = ceph.client(), backed_up.store
    for key in (manifest_key("host1", record.id), object_key("host1", record.id, DUMP)):
        data = bytearray(b"".join(source.get(key)))
        if key.endswith(".zst"):
            data[len(data) // 2] ^= 1
        client.put_object(Bucket=bucket.bucket, Key=f"{bucket.prefix}/{key}", Body=bytes(data))
    url = backed_up.settings.database_url()
    assert url
    programs = ClientPrograms(Path(backed_up.settings.backup.mysqldump), Path(backed_up.settings.backup.mysql))
    return make_case(tmp_path, url, programs, bucket)


def test_object_that_is_cut_short_is_no_backup(
    backed_up: Case, ceph: Ceph, bucket: S3URL, target: MysqlURL, tmp_path: Path
) -> None:
    case = _copy_with_one_byte_changed(backed_up, ceph, bucket, tmp_path)
    ((name, _),) = case.stored().items()
    ceph.client().put_object(
        Bucket=bucket.bucket, Key=f"{bucket.prefix}/{object_key('host1', name, DUMP)}", Body=b"short"
    )
    assert case.stored() == {name: "damaged"}
    with pytest.raises(RestoreError, match="has 5 bytes instead of"):
        restore(case, target, name)
    with pytest.raises(RestoreError, match="holds no complete backup"):
        restore(case, target)


def test_account_without_the_rights_for_triggers_is_refused_before_anything_is_touched(
    backed_up: Case, empty_server: MysqlServer
) -> None:
    guide = empty_server.create("by_the_guide", "guide", "password")
    try:
        with pytest.raises(RestoreError, match="lacks SET_ANY_DEFINER, SYSTEM_USER, SUPER") as caught:
            restore(backed_up, guide)
        assert "GRANT SET_ANY_DEFINER, SYSTEM_USER, SUPER ON *.* TO 'guide'@'%'" in caught.value.hint
        assert empty_server.execute("SHOW TABLES", database="by_the_guide") == []
    finally:
        empty_server.execute("DROP DATABASE by_the_guide")
        empty_server.execute("DROP USER guide@'%'")


def test_mariadb_program_is_refused(backed_up: Case, mariadb_mysqldump: Path, target: MysqlURL) -> None:
    settings = backed_up.settings.backup.model_copy(update={"mysql": str(mariadb_mysqldump)})
    with pytest.raises(DatabaseError, match="is MariaDB's program"):
        restore_backup(backed_up.store, settings, "latest", target, ignore)


def unfinished(server: MysqlServer) -> bool:
    """Whether the mark of a restore that did not come to its end is in the database."""
    return ("wbagent_restore_unfinished",) in server.execute("SHOW TABLES FROM restored")


def test_half_restored_database_with_somebody_elses_table_is_refused(
    backed_up: Case, empty_server: MysqlServer, target: MysqlURL
) -> None:
    empty_server.execute("CREATE DATABASE restored")
    with empty_server.connect() as connection:
        mark(connection, "restored", "20261124T030000Z")
    empty_server.execute("CREATE TABLE restored.made_since (id INT PRIMARY KEY)")
    with pytest.raises(RestoreError, match=r"half restored from backup 20261124T030000Z.*has other tables besides"):
        restore(backed_up, target)
    restore_backup(backed_up.store, backed_up.settings.backup, "latest", target, ignore, overwrite=True)
    assert ("made_since",) not in empty_server.execute("SHOW TABLES FROM restored")


def test_a_database_of_mysqls_own_is_never_dropped(
    backed_up: Case, empty_server: MysqlServer, target: MysqlURL
) -> None:
    before = empty_server.execute("SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'sys'")
    own = replace(target, database="sys")
    with pytest.raises(RestoreError, match=r"one of MySQL's own; nothing was touched"):
        restore_backup(backed_up.store, backed_up.settings.backup, "latest", own, ignore, overwrite=True)
    after = empty_server.execute("SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'sys'")
    assert after == before


def test_half_restored_database_is_not_backed_up(
    backed_up: Case, mysql: MysqlServer, clients: ClientPrograms, tmp_path: Path
) -> None:
    url = backed_up.settings.database_url()
    assert url
    with mysql.connect() as connection:
        mark(connection, url.database, "20261124T030000Z")
        try:
            with pytest.raises(BackupError, match="is half restored"):
                make_case(tmp_path, url, clients).run()
        finally:
            unmark(connection, url.database)


def test_client_killed_half_way(backed_up: Case, empty_server: MysqlServer, target: MysqlURL) -> None:
    kill = Once("restoring", lambda: child("--binary-mode").kill())
    with Proxy((target.host, target.port)) as proxy:
        proxy.limit_after(0, 8e6)
        slow = MysqlURL(target.user, target.password, proxy.address, proxy.port, target.database)
        with pytest.raises(RestoreError, match="killed by signal 9") as caught:
            restore_backup(backed_up.store, backed_up.settings.backup, "latest", slow, kill)
    assert kill.done
    assert "it begins anew" in caught.value.hint
    assert unfinished(empty_server)
    done = restore_backup(backed_up.store, backed_up.settings.backup, "latest", target, ignore)
    assert "half restored from backup" in done.replaced
    assert not unfinished(empty_server)


def test_password_is_in_no_process_arguments_or_environment(backed_up: Case, target: MysqlURL) -> None:
    shown: list[str] = []
    look = Once("restoring", lambda: shown.extend(processes_that_show(PASSWORD)), from_start=True)
    restore_backup(backed_up.store, backed_up.settings.backup, "latest", target, look)
    assert look.done
    assert shown == []


@pytest.mark.parametrize("way", ["argument", "file", "standard input"])
def test_command_line(backed_up: Case, target: MysqlURL, tmp_path: Path, way: str) -> None:
    (tmp_path / "dsn").write_text(f"{target}\n")
    into = {"argument": str(target), "file": f"@{tmp_path / 'dsn'}", "standard input": "-"}[way]
    done = backed_up.command("restore", "latest", "--into", into, text=f"{target}\n")
    assert done.returncode == 0, done.stderr
    assert "as many as were in the backup" in done.stdout
    again = backed_up.command("restore", "latest", "--into", into, text=f"{target}\n")
    assert (again.returncode, "is not empty" in again.stderr) == (74, True)
    assert PASSWORD not in done.stdout + done.stderr + again.stderr


def test_file_in_the_place_of_a_directory_is_told(backed_up: Case, tmp_path: Path) -> None:
    for option, path, told in (("--datadir", backed_up.configuration, "is a file"), ("--files", tmp_path, "directory")):
        wrong = backed_up.command("restore", "latest", option, str(path))
        assert (wrong.returncode, told in wrong.stderr, "try: name a" in wrong.stderr) == (64, True, True)
        assert "Usage:" not in wrong.stderr


def test_wrong_connection_string_is_explained(backed_up: Case) -> None:
    wrong = backed_up.command("restore", "latest", "--into", "mysql://user:sec+ret@host/db")
    assert wrong.returncode == 64
    assert "%2B" in wrong.stderr
    assert "sec+ret" not in wrong.stderr


def test_the_newest_backup_is_taken_with_a_warning_when_its_drill_found_it_bad(
    tmp_path: Path, database: MysqlURL, mysql: MysqlServer, target: MysqlURL, clients: ClientPrograms, bucket: S3URL
) -> None:
    mysql.execute("CREATE TABLE runs (id INT PRIMARY KEY)", database=database.database)
    case = make_case(tmp_path, database, clients, bucket)
    now = time.time()
    older, newest = (case.run(clock=repeat(at).__next__).manifest for at in (now - 3600, now))
    into = ("--into", str(target), "--overwrite")

    write_proof(case.store, proof_of(newest, ok=False))
    assert "none is proven: wbagent backup list" in case.command("restore", "latest", *into).stderr
    write_proof(case.store, proof_of(older, ok=True))
    done = case.command("restore", "latest", *into)
    assert done.returncode == 0, done.stderr
    assert f"warning: {newest.id}, the newest backup, is BAD, as its drill found: table runs differs" in done.stderr
    assert f"try: the newest proven one: wbagent restore {older.id}" in done.stderr
    named = case.command("restore", newest.id, *into)
    assert (named.returncode, "BAD" in named.stderr) == (0, False), named.stderr
    write_proof(case.store, proof_of(newest, ok=True))
    assert "BAD" not in case.command("restore", "latest", *into).stderr
