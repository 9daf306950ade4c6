"""`wbagent check database` on tables, accounts and a standby: each thing wrong, and right by what the finding says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.integration.database_check_case import SMALL, found_by, mend, settings
from tests.testbed.mysql import MysqlServer
from wbagent.checks.check import Subject
from wbagent.checks.database import checks, standby
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config.dsn import MysqlURL


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
    with MysqlServer(settings=SMALL | {"super_read_only": "OFF"}) as replica:
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
