"""The drill from the installed package: after each backup, as user wbagent in its sandbox, and told where it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.host.drill_case import AGENT, DRILL, filled, listed, set_up_for_clones, take_up
from tests.testbed.bed import Bed
from tests.testbed.host import Host
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit
from wbagent import events


@pytest.fixture(scope="module")
def sample(booted: Bed) -> Iterator[None]:
    with filled(booted):
        yield


def test_each_backup_is_proven(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts)
    with journal_from_now(db, f"_SYSTEMD_UNIT={DRILL}") as journal:
        db.run(["wbagent", "backup", "run"], timeout=120)
        done = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_DONE, timeout=120)
    assert db.run(["id", "--user", "--name", done["_UID"]]).stdout.strip() == "wbagent"
    wait_for_property(db, DRILL, "ActiveState", "inactive")
    ((backup),) = listed(db)
    assert (backup["id"], backup["proven"]) == (done["WBAGENT_ID"], True)
    assert db.run(["ls", "/var/lib/wbagent/scratch"]).stdout == ""
    agent = wait_for_unit(db, AGENT, lambda unit: ", proven" in unit.get("StatusText", ""))
    assert "off-site, proven" in agent["StatusText"]
    assert ", proven" in db.run(["wbagent", "status"], check=False).stdout
    again = db.run(["wbagent", "backup", "drill", str(backup["id"])], timeout=120)
    assert f"backup {backup['id']} is proven" in again.stdout


@pytest.fixture
def cloning(hosts: Bed) -> Iterator[Host]:
    """db1 set up for clones, as the manual says."""
    with set_up_for_clones(hosts):
        yield hosts.db


def test_clone_is_proven_and_becomes_a_data_directory(hosts: Bed, sample: None, cloning: Host) -> None:
    take_up(hosts)
    with journal_from_now(cloning, f"_SYSTEMD_UNIT={DRILL}") as journal:
        cloning.run(["wbagent", "backup", "run"], timeout=120)
        done = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_DONE, timeout=120)
    shown = json.loads(cloning.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    assert (shown["id"], shown["engine"]) == (done["WBAGENT_ID"], "clone")
    target = "/srv/mysql"
    restored = cloning.run(["wbagent", "restore", "latest", "--datadir", target], timeout=120)
    assert "its accounts are those of the server that was backed up" in restored.stdout
    assert cloning.run(["stat", "--format=%U %a", target, f"{target}/mysql.ibd"]).stdout == "mysql 750\nmysql 640\n"
    again = cloning.run(["wbagent", "restore", "latest", "--datadir", target], check=False)
    assert (again.returncode, "is not empty" in again.stderr) == (74, True)
    cloning.run(["rm", "-r", target])


def test_bad_backup_is_told(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts, mysqld="/nowhere/mysqld")
    db.run(["wbagent", "backup", "run"], timeout=120)
    wait_for_unit(db, AGENT, lambda unit: "not proven: no mysqld on this host" in unit.get("StatusText", ""))
    (key,) = (key for key in hosts.store.keys("wandb-backups") if "/database.sql" in key)
    client = hosts.store.client()
    data = bytearray(client.get_object(Bucket="wandb-backups", Key=key)["Body"].read())
    data[len(data) // 2] ^= 1
    client.put_object(Bucket="wandb-backups", Key=key, Body=bytes(data))

    take_up(hosts)
    drilled = db.run(["wbagent", "backup", "drill"], timeout=120, check=False)
    assert drilled.returncode == 74
    assert "is NOT a good one" in drilled.stderr
    told = hosts.receiver.wait_for(lambda alert: "a backup is not proven" in alert.text, timeout=60)
    assert "wbagent backup run" in told.text
    ((backup),) = listed(db)
    assert backup["proven"] is False
    status = db.run(["wbagent", "status"], check=False)
    assert "NOT PROVEN: the drill failed" in status.stdout
    assert status.returncode == 3
