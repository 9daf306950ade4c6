"""Binary logs from the installed package on a database host: the agent starts the unit, and nothing it meets stops it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.testbed.bed import PASSWORD, Bed, configure
from tests.testbed.watch import wait_for_property, wait_for_unit

AGENT = "wbagent.service"
BINLOG = "wbagent-binlog.service"
DATABASE = "binlog_sample"
_STEPS = ("OFF_PERMISSIVE", "ON_PERMISSIVE", "ON")


@pytest.fixture
def sample(hosts: Bed) -> Iterator[None]:
    hosts.sql(
        f"CREATE USER 'admin'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION;"
        "GRANT REPLICATION SLAVE ON *.* TO 'wandb_backup'@'%';"
        f"CREATE DATABASE {DATABASE}; CREATE TABLE {DATABASE}.t (v VARCHAR(40)); INSERT INTO {DATABASE}.t VALUES ('first')"
    )
    yield
    hosts.db.run(["systemctl", "start", "mysql.service"])
    back = [f"SET GLOBAL gtid_mode = {mode};" for mode in (*_STEPS[1::-1], "OFF")]
    hosts.sql(
        f"DROP DATABASE IF EXISTS {DATABASE}; DROP DATABASE IF EXISTS restored; DROP USER 'admin'@'%';"
        "REVOKE REPLICATION SLAVE ON *.* FROM 'wandb_backup'@'%'; RESET PERSIST;"
        + "".join(back)
        + "SET GLOBAL enforce_gtid_consistency = OFF"
    )


def test_from_the_first_start_to_a_restore(hosts: Bed, sample: None) -> None:
    db = hosts.db
    url = str(replace(hosts.backup_url, database=DATABASE))
    dump = {"engine": "mysqldump"}
    shipping = {"backup": dump, "backup.binlog": {"enabled": True, "every": "0.5s"}}
    configure(db, hosts.db_settings(database={"url": url}, **shipping))
    db.run(["systemctl", "reload", AGENT])
    wait_for_unit(db, BINLOG, lambda unit: "without GTIDs" in unit.get("StatusText", ""))
    shown = db.run(["wbagent", "status"], check=False).stdout
    assert "NOT STORED" in shown
    assert "gtid_mode = ON" in shown

    hosts.sql(
        "SET PERSIST enforce_gtid_consistency = ON;" + "".join(f"SET PERSIST gtid_mode = {mode};" for mode in _STEPS)
    )
    everything(hosts, "second")
    wait_for_unit(db, "wbagent-backup.service", lambda unit: unit["ExecMainExitTimestamp"] != "", timeout=120)
    everything(hosts, "third")
    assert "binlogs   everything is stored" in db.run(["wbagent", "status"], check=False).stdout

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

    configure(db, hosts.db_settings(database={"url": url}))
    db.run(["systemctl", "reload", AGENT])
    wait_for_property(db, BINLOG, "ActiveState", "inactive")
    assert "would be lost with the database" in db.run(["wbagent", "status"], check=False).stdout


def everything(bed: Bed, value: str) -> None:
    """Write a row, and wait until it is stored."""
    bed.sql(f"INSERT INTO {DATABASE}.t VALUES ('{value}')")
    written = time.time()

    def covered(_unit: object) -> bool:
        facts = bed.db.run(["wbagent", "status", "--json"], check=False).stdout
        return _covered_at(facts) >= written

    wait_for_unit(bed.db, BINLOG, covered, timeout=90)


def _covered_at(text: str) -> float:
    fact = json.loads(text)["facts"].get("binlog")
    return float(fact["value"]["covered_at"]) if fact else 0.0
