"""`wbagent check database` against real MySQL: each thing wrong, and right again by what the finding says to do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.integration.conftest import require
from tests.testbed.address import free_port
from tests.testbed.bridge import bridge
from tests.testbed.mysql import MysqlServer
from tests.testbed.place import Place, place
from tests.testbed.rootfs import MYSQL
from wbagent.alerts.mysql_load import MysqlWatch
from wbagent.checks.check import Finding, Subject
from wbagent.checks.database import checks, standby
from wbagent.checks.database import look as looking
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.config.dsn import MysqlURL
from wbagent.database import connection
from wbagent.database.wanted import WANTED
from wbagent.moment import Moment
from wbagent.monitor import mysql_load
from wbagent.monitor.reach import Reach, cut_off

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
_SMALL = {"innodb_buffer_pool_size": "32M"}


@pytest.fixture(scope="module")
def wrong() -> Iterator[MysqlServer]:
    require(MYSQL)
    with MysqlServer(settings=_WRONG) as server:
        server.create("wandb_local", "wandb_local", "own")
        yield server


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[MysqlServer, Place]]:
    """On an address that is not this machine's, without TLS and binary log."""
    require(MYSQL)
    bare = _SMALL | {"tls_version": "", "skip_log_bin": "1"}
    with (
        bridge() as run_,
        place(run_, "db", 50) as there,
        MysqlServer(address=there.address, port=3306, network=there.network, settings=bare) as server,
    ):
        server.create("wandb_local", "wandb_local", "own")
        come_in_once(server)
        yield server, there


def come_in_once(server: MysqlServer) -> None:
    """Without TLS a password is checked over the network only after it came by a way that nobody can listen to."""
    pymysql.connect(unix_socket=str(server.socket), user="wandb_local", password="own").close()


def settings(url: MysqlURL, backups_as: MysqlURL | None = None, **sections: Any) -> Settings:
    """Of a host with the server, and where `backups_as` is given with an account of its own for backups."""
    server = {
        "host": "http://wandb.example.com",
        "image": "wandb/local:0.83.0",
        "bucket": "s3://KEY:SECRET@127.0.0.1:9/wandb-files",
        "mysql": str(url),
        "license": "none",
    }
    database = {"database": {"url": str(backups_as)}} if backups_as else {}
    return Settings.model_validate({"server": server, **database, **sections})


def found_by(wanted: Settings) -> dict[str, Finding]:
    """By "check" or "check: about"; no finding names a password."""
    results = run({"database": checks(wanted)}, Subject(wanted, Scratch()))
    assert not [each for each in results if "pass/word" in repr(each)]
    return {": ".join(filter(None, (each.check, each.finding.about))): each.finding for each in results}


def mend(server: MysqlServer, finding: Finding) -> None:
    """Run the statements that the finding says to run."""
    statements = re.findall(r"(?:SET|ALTER|GRANT|CREATE|INSTALL) [^;]+;", finding.remedy.replace("\\`", "`"))
    assert statements
    for statement in statements:
        server.execute(statement)


# --- settings --------------------------------------------------------------------------------------------------------


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


# --- the way ---------------------------------------------------------------------------------------------------------


def only_failure(url: MysqlURL) -> Finding:
    """The one failure; nothing else is told of a database that cannot be reached."""
    wanted = settings(url)
    results = run({"database": checks(wanted)}, Subject(wanted, Scratch()))
    assert {each.check for each in results} <= {"account of [server] mysql", "standby"}
    (failed,) = [each.finding for each in results if each.finding.verdict == "fail"]
    return failed


def test_every_way_not_to_get_there(database: MysqlURL) -> None:
    refused = only_failure(replace(database, port=free_port("127.0.0.1")))
    assert "Connection refused" in refused.found
    assert "systemctl status mysql" in refused.remedy
    unnamed = only_failure(replace(database, host="nowhere.invalid"))
    assert "not known" in unnamed.found
    assert "getent hosts nowhere.invalid" in unnamed.remedy
    denied = only_failure(replace(database, password="another"))
    assert "Access denied" in denied.found
    assert "user and password" in denied.remedy
    assert "another" not in repr(denied)
    unproven = only_failure(replace(database, options=(("tls", "true"),)))
    assert "CERTIFICATE_VERIFY_FAILED" in unproven.found
    assert "ssl-ca" in unproven.remedy
    assert len({each.remedy for each in (refused, unnamed, denied, unproven)}) == 4


def test_unknown_database(database: MysqlURL) -> None:
    found = found_by(settings(replace(database, database="elsewhere")))
    assert found["database"].verdict == "fail"
    assert "no database 'elsewhere'" in found["database"].found
    assert r"CREATE DATABASE \`elsewhere\`" in found["database"].remedy
    # It comes in, and everything about the server itself is told.
    assert found["account of [server] mysql"].verdict == "pass"
    assert found["grants: server"].verdict == "fail"


def test_server_that_is_stopped(elsewhere: tuple[MysqlServer, Place]) -> None:
    server, _ = elsewhere
    url = server.url("wandb_local", "wandb_local")
    assert found_by(settings(url))["account of [server] mysql"].verdict == "pass"
    server.stop()
    assert "Connection refused" in only_failure(url).found
    server.start()
    come_in_once(server)
    assert found_by(settings(url))["account of [server] mysql"].verdict == "pass"


def test_host_that_does_not_answer(elsewhere: tuple[MysqlServer, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    server, there = elsewhere
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.5)
    with there.cut_off():
        silent = only_failure(server.url("wandb_local", "wandb_local"))
    assert "timed out" in silent.found
    assert "firewall" in silent.remedy


def test_mysqld_that_hangs(elsewhere: tuple[MysqlServer, Place], monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = elsewhere
    monkeypatch.setattr(looking, "_ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(mysql_load, "_ANSWER_WITHIN_S", 0.5)
    url, reach, now = server.url("wandb_local", "wandb_local"), Reach(), Moment.now()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        hangs = only_failure(url)
        MysqlWatch(reach).look(settings(url), now)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert "timed out" in hangs.found
    assert "SHOW PROCESSLIST" in hangs.remedy
    # The agent takes it for what it is, and not for a network that is gone.
    reach.note("store.example.com", False, now)
    assert reach.found(now)[server.address].reached
    assert not cut_off(reach.found(now))


def test_over_a_network_without_tls_and_binary_log(elsewhere: tuple[MysqlServer, Place]) -> None:
    server, _ = elsewhere
    found = found_by(settings(server.url("wandb_local", "wandb_local")))
    assert (found["encryption: [server] mysql"].verdict, found["settings: log_bin"].verdict) == ("warn", "warn")
    assert "in the clear" in found["encryption: [server] mysql"].found
    assert "log_bin = binlog" in found["settings: log_bin"].remedy
    assert "restart MySQL" in found["settings: log_bin"].remedy
    assert "binary log: gtid_mode" not in found
    assert (found["place"].verdict, "40 %" in found["place"].found) == ("note", True)
    assert f"ssh {server.address} apt install" in found["place"].remedy


def test_certificates(elsewhere: tuple[MysqlServer, Place], tmp_path: Path) -> None:
    """What MySQL makes itself is refused by name, one that names the host passes, each way to ask less is told."""
    server, _ = elsewhere
    url = server.url("wandb_local", "wandb_local")

    def way(tls: str, authority: Path | None = None) -> MysqlURL:
        return replace(url, options=(("tls", tls), *([("ssl-ca", str(authority))] if authority else [])))

    def encryption(tls: str, authority: Path | None = None) -> Finding:
        return found_by(settings(way(tls, authority)))["encryption: [server] mysql"]

    server.execute("SET GLOBAL tls_version = 'TLSv1.3'")
    server.execute("ALTER INSTANCE RELOAD TLS")
    try:
        own = server.directory / "data" / "ca.pem"
        refused = only_failure(way("true", own))
        assert f"names no host: give mysqld one that names {server.address}" in refused.remedy
        without = found_by(settings(url))["encryption: [server] mysql"]
        assert (without.verdict, "without tls=" in without.found) == ("warn", True)
        skipped = encryption("skip-verify")
        assert (skipped.verdict, "nobody verifies" in skipped.found) == ("note", True)
        made = certificates(tmp_path, server)
        server.execute("ALTER INSTANCE RELOAD TLS")
        verified = encryption("true", made)
        assert (verified.verdict, "TLSv1.3, MySQL's certificate is verified" in verified.found) == ("pass", True)
    finally:
        # A running server can be given TLS, and not be rid of it.
        server.stop()
        server.start()
        come_in_once(server)


def certificates(directory: Path, server: MysqlServer) -> Path:
    """Give the server a certificate that names its address; return the file of the authority."""

    def openssl(*arguments: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9")
        subprocess.run(["openssl", *arguments, *key], cwd=directory, check=True, capture_output=True)

    openssl("req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    openssl(
        "req", "-x509", "-keyout", "server-key.pem", "-out", "server-cert.pem", "-subj", "/CN=db", "-CA", "ca.pem",
        "-CAkey", "ca.key", "-addext", f"subjectAltName=IP:{server.address}",
    )  # fmt: skip
    for name in ("ca.pem", "server-key.pem", "server-cert.pem"):
        there = server.directory / "data" / name
        owner = there.stat()
        shutil.copyfile(directory / name, there)
        os.chown(there, owner.st_uid, owner.st_gid)
    return directory / "ca.pem"


# --- database and tables ---------------------------------------------------------------------------------------------


def test_character_sets_and_collations(mysql: MysqlServer, database: MysqlURL) -> None:
    name = database.database
    for statement in (
        "CREATE TABLE old (name VARCHAR(10)) CHARACTER SET latin1",
        "CREATE TABLE newer (name VARCHAR(10)) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci",
        "CREATE TABLE good (old VARCHAR(9) CHARACTER SET latin1, hash VARCHAR(9) COLLATE utf8mb4_bin)",
    ):
        mysql.execute(statement, database=name)
    mysql.execute(f"ALTER DATABASE {name} CHARACTER SET latin1")
    wanted = settings(database)
    results = run({"database": checks(wanted)}, Subject(wanted, Scratch()))
    seen = [each.finding for each in results if each.check == "character set"]
    assert [(each.about, each.verdict) for each in seen] == [
        ("server", "pass"),
        (f"database {name}", "fail"),
        ("tables", "fail"),
        ("tables", "warn"),
        ("columns", "warn"),
        ("columns", "note"),
    ]
    assert "old (latin1_swedish_ci)" in seen[2].found
    assert "newer (utf8mb4_0900_ai_ci)" in seen[3].found
    assert "good.old" in seen[4].found
    for each in seen[1:4]:
        mend(mysql, each)
    mysql.execute(f"ALTER TABLE {name}.good CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    found = found_by(settings(database))
    assert {each.verdict for name, each in found.items() if name.startswith("character set")} == {"pass"}


def test_storage_engines_and_float_columns(mysql: MysqlServer, database: MysqlURL) -> None:
    mysql.execute("CREATE TABLE old (id INT PRIMARY KEY, loss FLOAT) ENGINE = MyISAM", database=database.database)
    found = found_by(settings(database))
    assert (found["storage engine"].verdict, "old (MyISAM)" in found["storage engine"].found) == ("fail", True)
    assert (found["FLOAT columns"].verdict, "old.loss" in found["FLOAT columns"].found) == ("note", True)
    mend(mysql, found["storage engine"])
    mysql.execute("ALTER TABLE old MODIFY loss DOUBLE", database=database.database)
    found = found_by(settings(database))
    assert (found["storage engine"].verdict, found["FLOAT columns"].verdict) == ("pass", "pass")


# --- accounts --------------------------------------------------------------------------------------------------------


def test_rights_that_the_server_lacks(mysql: MysqlServer, database: MysqlURL) -> None:
    mysql.execute(f"REVOKE ALTER, EVENT ON `{database.database}`.* FROM %s@'%%'", database.user)
    found = found_by(settings(database))
    assert found["grants: server"].found == f"'{database.user}'@'%' lacks ALTER, EVENT on {database.database}"
    assert found["grants: backup"].verdict == "fail"
    mend(mysql, found["grants: server"])
    found = found_by(settings(database))
    assert (found["grants: server"].verdict, found["grants: backup"].verdict) == ("pass", "pass")


def test_an_account_of_its_own_for_backups(mysql: MysqlServer, database: MysqlURL) -> None:
    backup = mysql.create("unused_by_checks", "wandb_backup_check", "pass/word")
    try:
        there = replace(backup, database=database.database)
        mysql.execute(f"GRANT SELECT ON `{database.database}`.* TO wandb_backup_check")
        wanted = settings(database, there, backup={"binlog": {"enabled": True}})
        found = found_by(wanted)
        assert found["account of [database] url"].verdict == "pass"
        assert (found["grants: server"].verdict, found["grants: backup"].verdict) == ("pass", "fail")
        assert (found["grants: binlog"].verdict, found["grants: position"].verdict) == ("fail", "note")
        assert found["backup"].verdict == "pass"
        for name in ("grants: backup", "grants: binlog", "grants: position"):
            mend(mysql, found[name])
        found = found_by(wanted)
        assert {found[f"grants: {name}"].verdict for name in ("backup", "binlog", "position")} == {"pass"}
        assert found_by(settings(database, backup))["backup"].verdict == "warn"
    finally:
        mysql.execute("DROP DATABASE unused_by_checks")
        mysql.execute("DROP USER wandb_backup_check")


def test_clone_once_all_is_there(mysql: MysqlServer, database: MysqlURL) -> None:
    wanted = settings(database)
    if _has_clone(mysql):
        mysql.execute("UNINSTALL PLUGIN clone")
    found = found_by(wanted)["grants: clone"]
    assert (found.verdict, "plugin" in found.found) == ("note", True)
    mend(mysql, found)
    try:
        found = found_by(wanted)["grants: clone"]
        assert (found.verdict, "BACKUP_ADMIN" in found.found) == ("note", True)
        mend(mysql, found)
        assert found_by(wanted)["grants: clone"].verdict == "pass"
    finally:
        mysql.execute("UNINSTALL PLUGIN clone")


def _has_clone(mysql: MysqlServer) -> bool:
    return bool(mysql.execute("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone'"))


def test_old_checks_of_passwords(mysql: MysqlServer, database: MysqlURL) -> None:
    mysql.execute("CREATE USER 'old_app'@'10.%' IDENTIFIED BY 'x'")
    try:
        # As an upgrade from 8.0 leaves it: MySQL 9 makes no such account itself.
        mysql.execute("UPDATE mysql.user SET plugin = 'mysql_native_password' WHERE user = 'old_app'")
        mysql.execute("FLUSH PRIVILEGES")
        mysql.execute("ALTER USER %s@'%%' IDENTIFIED WITH sha256_password BY %s", database.user, database.password)
        own = f"password check: '{database.user}'@'%'"
        found = found_by(settings(database))
        assert (found[own].verdict, "sha256_password" in found[own].found) == ("note", True)
        assert "password check: other accounts" not in found
        mysql.execute("GRANT SELECT ON mysql.* TO %s@'%%'", database.user)
        other = found_by(settings(database))["password check: other accounts"]
        assert (other.verdict, "'old_app'@'10.%'" in other.found) == ("warn", True)
        mend(mysql, other)
        assert "password check: other accounts" not in found_by(settings(database))
    finally:
        mysql.execute("DROP USER 'old_app'@'10.%'")


# --- standby ---------------------------------------------------------------------------------------------------------


def test_standby(mysql: MysqlServer, database: MysqlURL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "WITHIN_S", 1.0)
    with MysqlServer(settings=_SMALL | {"super_read_only": "OFF"}) as replica:
        watcher = replica.create("unused", "watcher", "secret")
        named = settings(database, standby={"url": str(watcher)})
        found = found_by(named)
        assert (found["standby: writes"].verdict, found["standby: replication"].verdict) == ("warn", "note")
        replica.execute("GRANT REPLICATION CLIENT ON *.* TO watcher")
        assert "replicates from nobody" in found_by(named)["standby: replication"].found
        _follow(replica, mysql)
        replica.execute("SET PERSIST super_read_only = ON")
        found = found_by(named)
        verdicts = {name: each.verdict for name, each in found.items() if name.startswith("standby")}
        assert verdicts == dict.fromkeys(verdicts, "pass")
        assert len(verdicts) == 4
        replica.execute("STOP REPLICA SQL_THREAD")
        stopped = found_by(named)["standby: replication"]
        assert (stopped.verdict, "the applier of" in stopped.found) == ("fail", True)
        replica.execute("STOP REPLICA")


def _follow(replica: MysqlServer, primary: MysqlServer) -> None:
    """From now on: what the primary did before is counted as done."""
    primary.execute("CREATE USER IF NOT EXISTS follower IDENTIFIED BY 'follow'")
    primary.execute("GRANT REPLICATION SLAVE ON *.* TO follower")
    ((done,),) = primary.execute("SELECT @@GLOBAL.gtid_executed")
    replica.execute("RESET BINARY LOGS AND GTIDS")
    replica.execute("SET GLOBAL gtid_purged = %s", done)
    replica.execute(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = 'follower',"
        " SOURCE_PASSWORD = 'follow', SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1",
        primary.address,
        primary.port,
    )
    replica.execute("START REPLICA")
