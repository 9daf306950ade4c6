"""The drill from the installed package: after each backup, as user wbagent in its sandbox, and told where it fails."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pymysql
import pytest
import zstandard

from tests.testbed import docker_daemon
from tests.testbed.bed import PASSWORD, Bed, configure
from tests.testbed.command import lines
from tests.testbed.host import Host
from tests.testbed.mysql_image import CHANGES, IMAGE, mysql_image_tar
from tests.testbed.registry import ADDRESS, registry
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


def listed(host: Host) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(host.run(["wbagent", "backup", "list", "--json"]).stdout)["backups"]
    return found


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
    ((backup),) = listed(db)
    assert backup["proven"] is False
    status = db.run(["wbagent", "status"], check=False)
    assert "NOT PROVEN: the drill failed" in status.stdout
    assert status.returncode == 3


# --- on a host without mysqld: in a container ---

CONTAINER = "wandb-local-drill"
VIRTUAL = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}


@pytest.fixture(scope="module")
def image(booted: Bed) -> None:
    booted.web.import_image(mysql_image_tar(), IMAGE, CHANGES)


@pytest.fixture
def contained(hosts: Bed, sample: None, image: None) -> Bed:
    """web1 makes backups of its own, has Docker and no mysqld."""
    take_up_contained(hosts)
    return hosts


def take_up_contained(bed: Bed, backup: Mapping[str, object] | None = None, **drill: object) -> None:
    url = str(replace(bed.backup_url, host=bed.db.address, database=DATABASE))
    sections = {"backup": dict(backup or {}), "backup.drill": {"image": IMAGE, **drill}}
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


def test_bad_dump_is_found_out_in_a_container(contained: Bed) -> None:
    """All is as it was stored, and MySQL refuses it: only a restore tells."""
    web = contained.web
    take_up_contained(contained, enabled=False)
    web.run(["wbagent", "backup", "run"], timeout=120)
    assert "drills are off" in web.run(["wbagent", "status"], check=False).stdout
    spoil_dump(contained)
    take_up_contained(contained)
    drilled = web.run(["wbagent", "backup", "drill"], timeout=120, check=False)
    assert (drilled.returncode, "is NOT a good one" in drilled.stderr) == (74, True), drilled.stderr
    print(drilled.stderr)
    ((backup),) = listed(web)
    assert backup["proven"] is False
    assert_nothing_is_left(web)


def test_clone_is_proven_in_a_container(contained: Bed, cloning: Host) -> None:
    """One of db1's, where web1 gets it from the bucket."""
    web = contained.web
    take_up(contained, enabled=False)
    cloning.run(["wbagent", "backup", "run"], timeout=120)
    ((backup),) = listed(cloning)
    of_db1 = {"owner": "db1", "destination": str(contained.bucket("wandb-backups", "db1"))}
    take_up_contained(contained, of_db1)
    shown = json.loads(web.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    assert (shown["id"], shown["engine"]) == (backup["id"], "clone")
    drilled = web.run(["wbagent", "backup", "drill", str(backup["id"])], timeout=120)
    print(drilled.stdout)
    assert f"backup {backup['id']} is proven" in drilled.stdout
    (key,) = (key for key in contained.store.keys("wandb-backups") if key.endswith("proof.json"))
    proof = json.loads(contained.store.client().get_object(Bucket="wandb-backups", Key=key)["Body"].read())
    assert (proof["image"], "pages and indexes (CHECK TABLE)" in proof["compared"]) == (IMAGE, True)
    assert_nothing_is_left(web)


@contextmanager
def under_way(web: Host) -> Iterator[str]:
    """A drill of web1 that is held in the midst of its restore; gives the id of its container."""
    started = ["docker", "events", "--filter", f"container={CONTAINER}", "--filter", "event=start", "--format={{.ID}}"]
    with lines(web.command(started)) as starts:
        # A question that is answered shows that the daemon takes note of who listens.
        web.run(["docker", "info"])
        web.run(["systemctl", "start", "--no-block", DRILL])
        deadline = time.monotonic() + 60
        # One is asked for its version, one makes the data directory, and the third is the server.
        for _ in range(3):
            container = starts.next(deadline).strip()
        pid = int(web.properties(DRILL)["MainPID"])
        web.kill(pid, signal.SIGSTOP)
        yield container


def test_killed_drill_leaves_no_container(contained: Bed) -> None:
    web = contained.web
    take_up_contained(contained, enabled=False)
    web.run(["wbagent", "backup", "run"], timeout=120)
    take_up_contained(contained)
    with under_way(web) as container, journal_from_now(web) as journal:
        assert_caged(web, container)
        # The unit that runs it is killed: what stands in its ExecStopPost= removes the container.
        (unit,) = instances(web)
        web.run(["systemctl", "kill", "--signal=KILL", unit])
        wait_for_property(web, unit, "ActiveState", "inactive")
        assert_nothing_runs(web)
        web.run(["systemctl", "kill", "--signal=CONT", DRILL])
        told = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_FAILED, timeout=60)
    print(told["MESSAGE"])
    assert "says nothing about the backup" in told["MESSAGE"]
    assert "the unit that runs its container ended" in told["MESSAGE"]
    wait_for_property(web, DRILL, "ActiveState", "failed")
    assert_nothing_is_left(web)
    assert [listed(web)[0]["proven"]] == [None]

    with under_way(web):
        (unit,) = instances(web)
        web.run(["systemctl", "kill", "--signal=KILL", DRILL])
        wait_for_property(web, unit, "ActiveState", "inactive")
    assert_nothing_runs(web)
    # As after a power cut: a container that nobody vouches for does not stand in the way of the next drill.
    web.run(["docker", "create", "--name", CONTAINER, "--label", "wbagent.drill=another", IMAGE])
    assert web.run(["wbagent", "backup", "drill"], timeout=120).returncode == 0
    assert_nothing_is_left(web)


def test_docker_that_goes_says_nothing_about_the_backup(contained: Bed) -> None:
    web = contained.web
    take_up_contained(contained, enabled=False)
    web.run(["wbagent", "backup", "run"], timeout=120)
    take_up_contained(contained)
    with under_way(web), journal_from_now(web) as journal:
        docker_daemon.stop(web)
        web.run(["systemctl", "kill", "--signal=CONT", DRILL])
        told = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_FAILED, timeout=60)
    print(told["MESSAGE"])
    assert "says nothing about the backup" in told["MESSAGE"]
    assert "report" not in told["MESSAGE"], "an error that was foreseen"
    wait_for_property(web, DRILL, "ActiveState", "failed")
    away = web.run(["wbagent", "backup", "drill"], check=False)
    print(away.stderr)
    assert (away.returncode, "cannot reach Docker" in away.stderr) == (74, True)
    assert listed(web)[0]["proven"] is None


def test_image_is_fetched_when_it_is_missing(contained: Bed) -> None:
    web = contained.web
    own = f"{ADDRESS}/{IMAGE}"
    take_up_contained(contained, enabled=False)
    web.run(["wbagent", "backup", "run"], timeout=120)
    take_up_contained(contained, image=own)
    missing = web.run(["wbagent", "backup", "drill"], check=False)
    print(missing.stderr)
    assert missing.returncode == 74
    assert f"{own} is not on this host and could not be fetched" in missing.stderr
    assert f"docker pull {own}" in missing.stderr
    with registry(web):
        web.run(["docker", "tag", IMAGE, own])
        web.run(["docker", "push", "--quiet", own])
        web.run(["docker", "rmi", own])
        with journal_from_now(web) as journal:
            web.run(["wbagent", "backup", "drill"], timeout=120)
            journal.wait_for(f"fetching {own} for the drill")
    assert listed(web)[0]["proven"] is True
    web.run(["docker", "rmi", own])


def assert_caged(web: Host, container: str) -> None:
    """As the kernel sees it: user wbagent, no capability, no network, nothing to write to but the room."""
    pid = web.run(["docker", "inspect", "--format={{.State.Pid}}", container]).stdout.strip()
    status = web.read(f"/proc/{pid}/status")
    uid, gid = (web.run(["id", option, "wbagent"]).stdout.strip() for option in ("--user", "--group"))
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
    assert f"Gid:\t{gid}\t{gid}\t{gid}\t{gid}\n" in status
    assert "CapBnd:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    interfaces = web.read(f"/proc/{pid}/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    mounts = [line.split() for line in web.read(f"/proc/{pid}/mounts").splitlines()]
    disks = {where for _, where, kind, options, *_ in mounts if options.startswith("rw") and kind not in VIRTUAL}
    assert {where.rpartition("-")[0] for where in disks} == {"/var/lib/wbagent/scratch/restoring"}, disks


def instances(web: Host) -> list[str]:
    """The units that run containers for drills at this moment."""
    shown = web.run(["systemctl", "list-units", "--plain", "--no-legend", "wandb-local-drill@*.service"]).stdout
    return [line.split()[0] for line in shown.splitlines()]


def assert_nothing_runs(web: Host) -> None:
    assert web.run(["docker", "ps", "--all", "--quiet", "--filter", f"name={CONTAINER}"]).stdout == ""


def spoil_dump(bed: Bed) -> None:
    """Exchange the dump for one with a wrong statement, and the commit record for one that says that all is well."""
    client = bed.store.client()
    (key,) = (key for key in bed.store.keys("wandb-backups") if "/database.sql" in key)
    (record,) = (key for key in bed.store.keys("wandb-backups") if key.endswith("manifest.json"))
    packed = client.get_object(Bucket="wandb-backups", Key=key)["Body"].read()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(packed).replace(b"INSERT INTO", b"INSERT INT", 1)
    data = zstandard.ZstdCompressor().compress(text)
    manifest = json.loads(client.get_object(Bucket="wandb-backups", Key=record)["Body"].read())
    (stored,) = (each for each in manifest["objects"] if key.endswith(each["file"]))
    client.put_object(Bucket="wandb-backups", Key=key, Body=data)
    stored |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "plain_size": len(text)}
    client.put_object(Bucket="wandb-backups", Key=record, Body=json.dumps(manifest).encode())
