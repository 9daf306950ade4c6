"""Binary logs from the installed package on a database host: the agent starts the unit, and nothing stops it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.testbed.bed import PASSWORD, Bed, configure, reload
from tests.testbed.watch import wait_for_property, wait_for_unit
from wbagent.binlog.gtid import GtidSet

BINLOG = "wbagent-binlog.service"
DATABASE = "binlog_sample"


@pytest.fixture
def sample(hosts: Bed) -> Iterator[None]:
    hosts.sql(
        f"CREATE USER 'admin'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION;"
        f"CREATE DATABASE {DATABASE}; CREATE TABLE {DATABASE}.t (v VARCHAR(40));"
        f"INSERT INTO {DATABASE}.t VALUES ('first')"
    )
    yield
    hosts.db.run(["systemctl", "start", "mysql.service"])
    hosts.sql(
        f"DROP DATABASE IF EXISTS {DATABASE}; DROP DATABASE IF EXISTS restored; DROP USER 'admin'@'%';"
        "REVOKE REPLICATION SLAVE ON *.* FROM 'wandb_backup'@'%'"
    )


def test_from_the_first_start_to_a_restore(hosts: Bed, sample: None) -> None:
    db = hosts.db
    url = str(replace(hosts.backup_url, database=DATABASE))
    settings = hosts.db_settings(database={"url": url}, backup={"engine": "mysqldump"})
    configure(db, {**settings, "backup.binlog": {"enabled": True, "every": "0.5s"}})
    reload(db)
    wait_for_unit(db, BINLOG, lambda unit: "lacks REPLICATION SLAVE" in unit.get("StatusText", ""))
    for command in (["wbagent", "status"], ["wbagent", "binlog", "status"]):
        shown = db.run(command, check=False).stdout
        assert "NOT STORED" in shown
        assert "GRANT REPLICATION SLAVE ON *.* TO 'wandb_backup'@'%'" in shown

    hosts.sql("GRANT REPLICATION SLAVE ON *.* TO 'wandb_backup'@'%'")
    everything(hosts, "second")
    wait_for_unit(db, "wbagent-backup.service", lambda unit: bool(unit.get("ExecMainExitTimestamp")), timeout=120)
    everything(hosts, "third")
    assert "binlogs   everything is stored, the newest of" in db.run(["wbagent", "status"], check=False).stdout

    pid = int(db.properties(BINLOG)["MainPID"])
    db.kill(pid)
    wait_for_unit(db, BINLOG, lambda unit: unit["ActiveState"] == "active" and int(unit["MainPID"]) not in {0, pid})
    everything(hosts, "fourth")
    db.run(["systemctl", "restart", "mysql.service"], timeout=120)
    everything(hosts, "fifth")
    moment = datetime.now(UTC)
    time.sleep(0.01)
    everything(hosts, "too late")

    db.write("/root/into", f"{replace(hosts.mysql_url, user='admin', database='restored')}\n", mode=0o600)
    done = db.run(["wbagent", "restore", "--at", moment.isoformat(), "--into", "@/root/into"], timeout=120)
    assert "rolled forward to" in done.stdout
    assert hosts.sql("SELECT GROUP_CONCAT(v) FROM restored.t").split() == ["first,second,third,fourth,fifth"]
    assert "any moment from" in db.run(["wbagent", "binlog", "status"]).stdout
    assert "any moment from" in db.run(["wbagent", "backup", "list"]).stdout

    configure(db, hosts.db_settings(database={"url": url}))
    reload(db)
    wait_for_property(db, BINLOG, "ActiveState", "inactive")
    assert "would be lost with the database" in db.run(["wbagent", "status"], check=False).stdout


def everything(bed: Bed, value: str) -> None:
    """Write a row, and wait until it is stored."""
    bed.sql(f"INSERT INTO {DATABASE}.t VALUES ('{value}')")
    wanted = GtidSet.parse(bed.sql("SELECT @@GLOBAL.gtid_executed"))

    def is_stored(_unit: object) -> bool:
        files = json.loads(bed.db.run(["wbagent", "binlog", "status", "--json"]).stdout)["files"]
        return any(wanted <= GtidSet.parse(file["executed"]) for file in files)

    wait_for_unit(bed.db, BINLOG, is_stored, timeout=90)
