"""Backups from the installed package: the whole way back, and what is left when a part of it dies half-way."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.testbed.bed import PASSWORD, Bed, configure, reload
from tests.testbed.faulty_store import FaultyStore
from tests.testbed.host import Host
from tests.testbed.sample import fill
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

AGENT = "wbagent.service"
BACKUP = "wbagent-backup.service"
DATABASE = "backup_sample"
# Some seconds of dumping, so that there is a half-way.
MEGABYTES = 100


@contextmanager
def connected(bed: Bed) -> Iterator[pymysql.Connection[Any]]:
    connection = pymysql.connect(
        host=bed.db.address, user="admin", password=PASSWORD, charset="utf8mb4", autocommit=True
    )
    with connection:
        yield connection


@pytest.fixture(scope="module")
def sample(booted: Bed) -> Iterator[None]:
    """A database that outlasts the setting back between tests, and an administrator who may restore it."""
    booted.sql(
        f"CREATE USER 'admin'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'admin'@'%' WITH GRANT OPTION;"
        f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )
    with connected(booted) as connection:
        connection.select_db(DATABASE)
        fill(connection, MEGABYTES)
    yield
    booted.sql(f"DROP DATABASE IF EXISTS {DATABASE}; DROP DATABASE IF EXISTS restored; DROP USER 'admin'@'%'")


def take_up(bed: Bed) -> None:
    """Configure db1 for the sample, and let its agent know."""
    url = str(replace(bed.backup_url, database=DATABASE))
    # A link that is away is waited for, ten minutes unless set: nothing to wait for in a test. A narrow one makes the
    # midst of a dump long enough to be met.
    backup = {"timeout": "10s", "retry_for": "5s", "bandwidth": "10M"}
    configure(bed.db, bed.db_settings(database={"url": url}, backup=backup))
    reload(bed.db)


def half_way(host: Host) -> int:
    """Start a backup and stop its clock (SIGSTOP) in the midst of the dump; returns its process id."""
    host.run(["systemctl", "start", "--no-block", BACKUP])
    unit = wait_for_unit(
        host, BACKUP, lambda unit: re.search("dumping.* stored", unit.get("StatusText", "")) is not None
    )
    pid = int(unit["MainPID"])
    host.kill(pid, signal.SIGSTOP)
    assert host.run(["pgrep", "-P", str(pid)]).stdout.split(), "mysqldump still runs"
    return pid


def assert_no_backup(bed: Bed, host: Host) -> None:
    listed = json.loads(host.run(["wbagent", "backup", "list", "--all", "--json"]).stdout)
    assert listed["backups"] == []
    assert bed.store.keys("wandb-backups") == []
    shown = host.run(["wbagent", "status"], check=False).stdout
    assert "no backup yet" in shown
    assert "failed" in shown


def test_everything_comes_back_from_the_bucket(hosts: Bed, sample: None) -> None:
    """On Debian 13, over the network, as an operator does it."""
    web = hosts.web
    url = replace(hosts.mysql_url, user="wandb_backup", database=DATABASE)
    configure(web, hosts.web_settings(database={"url": str(url)}))
    with journal_from_now(web, f"_SYSTEMD_UNIT={BACKUP}") as journal:
        made = web.run(["wbagent", "backup", "run"], timeout=120)
        started = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.BACKUP_STARTED)
        done = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.BACKUP_DONE)
    assert "is complete" in made.stdout
    assert started["WBAGENT_ID"] == done["WBAGENT_ID"]
    assert int(done["WBAGENT_SIZE"]) > 1_000_000
    shown = json.loads(web.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    assert (shown["id"], shown["owner"]) == (done["WBAGENT_ID"], "web1")
    assert shown["position"]["file"]

    web.write("/root/into", f"{replace(hosts.mysql_url, user='admin', database='restored')}\n", mode=0o600)
    restored = web.run(["wbagent", "restore", "latest", "--into", "@/root/into"], timeout=180)
    assert "the checksum was right" in restored.stdout
    with connected(hosts) as connection:
        assert fingerprint(connection, "restored") == fingerprint(connection, DATABASE)
    again = web.run(["wbagent", "restore", "latest", "--into", "@/root/into"], check=False)
    assert (again.returncode, "is not empty" in again.stderr) == (74, True)


def test_a_configuration_that_the_units_may_not_read_is_told_with_what_mends_it(hosts: Bed) -> None:
    db = hosts.db
    configure(db, hosts.db_settings())
    db.run(["chown", "root:root", "/etc/wbagent.toml"])
    for command in ("run", "drill"):
        failed = db.run(["wbagent", "backup", command], check=False)
        assert failed.returncode == 77, failed.stderr
        assert "/etc/wbagent.toml: the agent, user wbagent, may not read it" in failed.stderr
        assert "try: chown root:wbagent /etc/wbagent.toml && chmod 0640 /etc/wbagent.toml" in failed.stderr


@pytest.fixture
def cloning(hosts: Bed) -> Iterator[Host]:
    """db1 set up for clones, as the manual says."""
    hosts.sql("INSTALL PLUGIN clone SONAME 'mysql_clone.so'; GRANT BACKUP_ADMIN ON *.* TO 'wandb_backup'@'%';")
    take_up(hosts)
    yield hosts.db
    hosts.sql("UNINSTALL PLUGIN clone; REVOKE BACKUP_ADMIN ON *.* FROM 'wandb_backup'@'%'")


def test_database_host_backs_up_by_clone(hosts: Bed, sample: None, cloning: Host) -> None:
    """Without root: MySQL writes what user wbagent reads and only the unit's last line removes."""
    made = cloning.run(["wbagent", "backup", "run"], timeout=120)
    assert "is complete" in made.stdout
    shown = json.loads(cloning.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    assert (shown["engine"], shown["objects"][0]["file"]) == ("clone", "datadir.tar.zst")
    # Nobody wrote meanwhile.
    assert shown["position"]["exact"] is True
    assert cloning.run(["find", "/var/lib/wbagent-clone"]).stdout.split() == ["/var/lib/wbagent-clone"]
    # Killed while the clone lies there: the unit's last line removes it all the same.
    cloning.run(["systemctl", "start", "--no-block", BACKUP])
    unit = wait_for_unit(cloning, BACKUP, lambda unit: "storing" in unit.get("StatusText", ""))
    cloning.kill(int(unit["MainPID"]))
    wait_for_property(cloning, BACKUP, "ActiveState", "failed")
    assert cloning.run(["find", "/var/lib/wbagent-clone"]).stdout.split() == ["/var/lib/wbagent-clone"]
    # Killed while MySQL still clones, which it would go on with into files that are removed under it.
    hosts.sql("SET GLOBAL clone_max_data_bandwidth = 1; SET GLOBAL clone_autotune_concurrency = OFF")
    cloning.run(["systemctl", "start", "--no-block", BACKUP])
    unit = wait_for_unit(cloning, BACKUP, lambda unit: "cloning" in unit.get("StatusText", ""))
    while "CLONE LOCAL" not in hosts.sql("SHOW FULL PROCESSLIST"):
        assert cloning.properties(BACKUP)["ActiveState"] == "activating"
    cloning.kill(int(unit["MainPID"]))
    wait_for_property(cloning, BACKUP, "ActiveState", "failed")
    assert "CLONE LOCAL" not in hosts.sql("SHOW FULL PROCESSLIST")
    hosts.sql("SET GLOBAL clone_max_data_bandwidth = DEFAULT; SET GLOBAL clone_autotune_concurrency = DEFAULT")
    assert cloning.run(["find", "/var/lib/wbagent-clone"]).stdout.split() == ["/var/lib/wbagent-clone"]


@pytest.fixture
def authority(hosts: Bed, tmp_path: Path) -> Iterator[Path]:
    """An authority of one's own that db1 has the certificate of, in /root/ca.crt, and a key and certificate by it."""
    db, name = hosts.db, "/CN=Own Authority"
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    db.run([*new, "-x509", "-subj", name, *usage, "-keyout", "/root/ca.key", "-out", "/root/ca.crt"])
    names = ["-addext", f"subjectAltName=IP:{hosts.bridge.gateway}"]
    db.run([*new, "-subj", "/CN=store", *names, "-keyout", "/root/store.key", "-out", "/root/store.csr"])
    signer = ["-CA", "/root/ca.crt", "-CAkey", "/root/ca.key", "-copy_extensions", "copy"]
    db.run(["openssl", "x509", "-req", "-in", "/root/store.csr", *signer, "-out", "/root/store.crt"])
    pair = tmp_path / "store.pem"
    pair.write_text(db.read("/root/store.key") + db.read("/root/store.crt"))
    yield pair
    db.run(["rm", "-f", "/usr/local/share/ca-certificates/own.crt"])
    db.run(["update-ca-certificates", "--fresh"])


def test_store_of_a_private_authority(hosts: Bed, sample: None, authority: Path) -> None:
    """It is refused, with what to do, until the host knows the authority; wbagent has no list of its own."""
    db = hosts.db
    target = (hosts.store.address, hosts.store.port)
    with FaultyStore(target, address=hosts.bridge.gateway, certificate=authority) as store:
        tls = (("region", "us-east-1"), ("tls", "true"))
        url = replace(hosts.bucket("wandb-backups", "db1"), host=store.address, port=store.port, options=tls)
        source = str(replace(hosts.backup_url, database=DATABASE))
        keys = {"destination": str(url), "retry_for": "5s"}
        configure(db, hosts.db_settings(database={"url": source}, backup=keys))
        reload(db)
        refused = db.run(["wbagent", "backup", "run"], check=False, timeout=120)
        assert refused.returncode == 74
        assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr
        assert "/usr/local/share/ca-certificates/NAME.crt, then: update-ca-certificates" in refused.stderr
        db.run(["cp", "/root/ca.crt", "/usr/local/share/ca-certificates/own.crt"])
        db.run(["update-ca-certificates"])
        assert "is complete" in db.run(["wbagent", "backup", "run"], timeout=120).stdout
        assert ", as db1" in db.run(["wbagent", "backup", "check-destination"], check=False).stdout


def test_dump_killed_half_way(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts)
    pid = half_way(db)
    db.run(["pkill", "-KILL", "-P", str(pid)])
    db.kill(pid, signal.SIGCONT)
    unit = wait_for_property(db, BACKUP, "ActiveState", "failed")
    assert (unit["Result"], unit["ExecMainStatus"]) == ("exit-code", "74")
    told = hosts.receiver.wait_for(lambda alert: "backup failed" in alert.text, timeout=60)
    assert "killed by signal 9" in told.text
    assert_no_backup(hosts, db)
    assert hosts.store.unfinished_uploads("wandb-backups") == []


def test_upload_cut_half_way(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts)
    pid = half_way(db)
    with hosts.bucket_place.cut_off():
        db.kill(pid, signal.SIGCONT)
        wait_for_property(db, BACKUP, "ActiveState", "failed", timeout=300)
        told = hosts.receiver.wait_for(lambda alert: "backup failed" in alert.text, timeout=60)
    assert hosts.store.address in told.text
    assert_no_backup(hosts, db)
    # The link is back: the next run clears up and is complete.
    db.run(["wbagent", "backup", "run"], timeout=120)
    assert hosts.store.unfinished_uploads("wandb-backups") == []
    assert len(hosts.store.keys("wandb-backups")) == 2


def test_stopped_backup_leaves_nothing(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts)
    pid = half_way(db)
    db.kill(pid, signal.SIGCONT)
    db.run(["systemctl", "stop", BACKUP])
    assert_no_backup(hosts, db)
    assert hosts.store.unfinished_uploads("wandb-backups") == []


def test_killed_agent_does_not_disturb_a_running_backup(hosts: Bed, sample: None) -> None:
    db = hosts.db
    take_up(hosts)
    pid = half_way(db)
    agent = db.properties(AGENT)["MainPID"]
    db.kill(int(agent))
    wait_for_unit(db, AGENT, lambda unit: unit["ActiveState"] == "active" and unit["MainPID"] != agent)
    assert int(db.properties(BACKUP)["MainPID"]) == pid
    db.kill(pid, signal.SIGCONT)
    unit = wait_for_property(db, BACKUP, "ActiveState", "inactive", timeout=120)
    assert unit["Result"] == "success"
    assert len(hosts.store.keys("wandb-backups")) == 2


def test_an_empty_database_is_waited_for(hosts: Bed, sample: None) -> None:
    """The first backup of a new host, which the agent starts before the server has made its tables."""
    web = hosts.web
    hosts.sql("DROP DATABASE IF EXISTS restored; CREATE DATABASE restored")
    url = str(replace(hosts.mysql_url, user="admin", password=PASSWORD, database="restored"))
    configure(web, hosts.web_settings(database={"url": url}, backup={"catch_up_after": "1s"}))
    with journal_from_now(web, f"_SYSTEMD_UNIT={BACKUP}") as journal:
        reload(web)
        journal.wait_for("the server has made no tables in the database 'restored'", timeout=60)
        ended = wait_for_unit(web, BACKUP, lambda unit: unit["ActiveState"] in {"inactive", "failed"})
        assert (ended["ActiveState"], ended["Result"]) == ("inactive", "success")
        assert "no backup yet: the server has made no tables" in web.run(["wbagent", "status"], check=False).stdout
        asked = web.run(["wbagent", "backup", "run"], check=False)
        assert (asked.returncode, "tries again" in asked.stderr) == (75, True)
        assert json.loads(web.run(["wbagent", "status", "--json"], check=False).stdout)["firing"] == []
        # Nor was a drill made, which would have told of a backup; and what found nothing does not count as a try.
        assert "drill.last" not in web.run(["wbagent", "status", "--json"], check=False).stdout
        hosts.sql("CREATE TABLE restored.one (id INT PRIMARY KEY)")
        reload(web)
        journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.BACKUP_DONE)
