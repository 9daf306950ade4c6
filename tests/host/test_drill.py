"""The drill from the installed package: after each backup, as user wbagent in its sandbox, and told where it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pymysql
import pytest

from tests.testbed.bed import PASSWORD, Bed, configure
from tests.testbed.host import Host
from tests.testbed.mysql_image import CHANGES, IMAGE, mysql_image_tar
from tests.testbed.sample import fill
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

AGENT = "wbagent.service"
DRILL = "wbagent-drill.service"
DATABASE = "drill_sample"


@pytest.fixture(scope="module")
def sample(booted: Bed) -> Iterator[None]:
    booted.sql(
        f"CREATE USER 'admin'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'admin'@'%';"
        f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )
    with pymysql.connect(
        host=booted.db.address, user="admin", password=PASSWORD, charset="utf8mb4", autocommit=True
    ) as connection:
        connection.select_db(DATABASE)
        fill(connection, 8)
    yield
    booted.sql(f"DROP DATABASE IF EXISTS {DATABASE}; DROP USER 'admin'@'%'")


def take_up(bed: Bed, **drill: object) -> None:
    url = str(replace(bed.backup_url, database=DATABASE))
    configure(bed.db, bed.db_settings(database={"url": url}, **{"backup.drill": {"enabled": True, **drill}}))
    bed.db.run(["systemctl", "reload", AGENT])


def listed(bed: Bed) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(bed.db.run(["wbagent", "backup", "list", "--json"]).stdout)["backups"]
    return found


def test_each_backup_is_proven(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts)
    with journal_from_now(db, f"_SYSTEMD_UNIT={DRILL}") as journal:
        db.run(["wbagent", "backup", "run"], timeout=120)
        done = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_DONE, timeout=120)
    assert db.run(["id", "--user", "--name", done["_UID"]]).stdout.strip() == "wbagent"
    wait_for_property(db, DRILL, "ActiveState", "inactive")
    ((backup),) = listed(hosts)
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
    hosts.sql("INSTALL PLUGIN clone SONAME 'mysql_clone.so'; GRANT BACKUP_ADMIN ON *.* TO 'wandb_backup'@'%';")
    yield hosts.db
    hosts.sql("UNINSTALL PLUGIN clone; REVOKE BACKUP_ADMIN ON *.* FROM 'wandb_backup'@'%'")


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
    ((backup),) = listed(hosts)
    assert backup["proven"] is False
    status = db.run(["wbagent", "status"], check=False)
    assert "NOT PROVEN: the drill failed" in status.stdout
    assert status.returncode == 3


# --- on a host without mysqld: in a container ---

CONTAINER = "wandb-local-drill"


@pytest.fixture(scope="module")
def image(booted: Bed) -> None:
    booted.web.import_image(mysql_image_tar(), IMAGE, CHANGES)


@pytest.fixture
def contained(hosts: Bed, sample: None, image: None) -> Bed:
    """web1 makes backups of its own, has Docker and no mysqld."""
    take_up_contained(hosts)
    return hosts


def take_up_contained(bed: Bed, backup: dict[str, object] | None = None, **drill: object) -> None:
    url = str(replace(bed.backup_url, host=bed.db.address, database=DATABASE))
    sections = {"backup": backup or {}, "backup.drill": {"image": IMAGE, **drill}}
    configure(bed.web, bed.web_settings(database={"url": url}, **sections))
    bed.web.run(["systemctl", "reload", AGENT])


def assert_nothing_is_left(host: Host) -> None:
    """Neither of the container, nor of its volumes, nor on the disk."""
    assert host.run(["docker", "ps", "--all", "--quiet", "--filter", f"name={CONTAINER}"]).stdout == ""
    assert host.run(["docker", "volume", "ls", "--quiet"]).stdout == ""
    assert host.run(["ls", "/var/lib/wbagent/scratch"]).stdout == ""


def test_dump_is_proven_in_a_container(contained: Bed) -> None:
    web = contained.web
    with journal_from_now(web, f"_SYSTEMD_UNIT={DRILL}") as journal:
        web.run(["wbagent", "backup", "run"], timeout=120)
        done = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_DONE, timeout=120)
    print(done["MESSAGE"])
    assert f"restored into a container of {IMAGE}" in done["MESSAGE"]
    wait_for_property(web, DRILL, "ActiveState", "inactive")
    assert_nothing_is_left(web)
    (key,) = (key for key in contained.store.keys("wandb-backups") if key.endswith("proof.json"))
    proof = json.loads(contained.store.client().get_object(Bucket="wandb-backups", Key=key)["Body"].read())
    assert (proof["ok"], proof["image"]) == (True, IMAGE)
    wait_for_unit(web, AGENT, lambda unit: f"proven (in {IMAGE})" in unit.get("StatusText", ""))
    assert f"proven     in {IMAGE}" in web.run(["wbagent", "backup", "list"]).stdout
    assert f"of image {IMAGE}" in web.run(["wbagent", "backup", "show", "latest"]).stdout
