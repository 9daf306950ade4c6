"""Drills on a host without mysqld: in a container of an image, which is caged, told, and gone whatever happens."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from tests.host.drill_case import AGENT, DATABASE, DRILL, filled, listed, set_up_for_clones, take_up
from tests.testbed import docker_daemon
from tests.testbed.bed import Bed, configure, reload
from tests.testbed.command import lines
from tests.testbed.host import Host
from tests.testbed.mysql_image import CHANGES, IMAGE, mysql_image_tar
from tests.testbed.registry import ADDRESS, registry
from tests.testbed.reset import set_back
from tests.testbed.watch import Entry, journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

CONTAINER = "wandb-local-drill"
VIRTUAL = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"}
BUCKET = "wandb-backups"


def configure_web(bed: Bed, backup: Mapping[str, object] | None = None, **drill: object) -> None:
    url = str(replace(bed.backup_url, host=bed.db.address, database=DATABASE))
    sections = {"backup": dict(backup or {}), "backup.drill": {"image": IMAGE, **drill}}
    configure(bed.web, bed.web_settings(database={"url": url}, **sections))
    reload(bed.web)


@pytest.fixture(scope="module")
def backed_up(booted: Bed) -> Iterator[Bed]:
    """web1, with Docker and without mysqld, has made one backup, and drills were off."""
    set_back(booted)
    booted.web.import_image(mysql_image_tar(), IMAGE, CHANGES)
    with filled(booted, megabytes=1):
        configure_web(booted, enabled=False)
        with journal_from_now(booted.web, f"UNIT={DRILL}") as journal:
            booted.web.run(["wbagent", "backup", "run"], timeout=120)
            # The unit that a backup is followed by has looked, and seen that drills are off.
            journal.wait_for("Deactivated successfully")
        yield booted


@pytest.fixture
def contained(backed_up: Bed) -> Bed:
    """It is to drill in a container."""
    configure_web(backed_up)
    return backed_up


def assert_nothing_is_left(web: Host) -> None:
    """Neither of containers, nor of their volumes, nor on the disk."""
    assert containers(web) == ""
    assert web.run(["docker", "volume", "ls", "--quiet"]).stdout == ""
    assert web.run(["ls", "/var/lib/wbagent/scratch"]).stdout == ""


def containers(web: Host) -> str:
    return web.run(["docker", "ps", "--all", "--quiet", "--filter", f"name={CONTAINER}"]).stdout


def instance(web: Host) -> str:
    """The unit that runs a container at this moment."""
    shown = web.run(
        ["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "wandb-local-drill@*.service"]
    )
    (unit,) = (line.split()[0] for line in shown.stdout.splitlines())
    return unit


def newest(web: Host) -> str:
    return str(listed(web)[-1]["id"])


@contextmanager
def under_way(web: Host) -> Iterator[str]:
    """A drill that is held in the midst of its restore; gives the id of its container."""
    started = ["docker", "events", "--filter", f"container={CONTAINER}", "--filter", "event=start", "--format={{.ID}}"]
    with lines(web.command(started)) as starts:
        # A question that is answered shows that the daemon takes note of who listens.
        web.run(["docker", "info"])
        with web.running(["wbagent", "backup", "drill", newest(web)]):
            deadline = time.monotonic() + 60
            # One is asked for its version, one makes the data directory, and the third is the server.
            for _ in range(3):
                container = starts.next(deadline).strip()
            web.kill(int(web.properties(DRILL)["MainPID"]), signal.SIGSTOP)
            yield container


def drill_failed(entry: Entry) -> bool:
    return entry.get("MESSAGE_ID") == events.DRILL_FAILED


def test_status_says_that_drills_are_off(backed_up: Bed) -> None:
    configure_web(backed_up, enabled=False)
    wait_for_unit(backed_up.web, AGENT, lambda unit: "backup" in unit.get("StatusText", ""))
    assert "drills are off" in backed_up.web.run(["wbagent", "status"], check=False).stdout


def test_killed_drill_leaves_no_container(contained: Bed) -> None:
    web = contained.web
    with under_way(web) as container, journal_from_now(web) as journal:
        assert_caged(web, container)
        # What runs the container is killed: the unit's ExecStopPost= removes the container.
        unit = instance(web)
        web.kill(int(web.properties(unit)["MainPID"]))
        wait_for_property(web, unit, "ActiveState", "inactive")
        assert containers(web) == ""
        web.run(["systemctl", "kill", "--signal=CONT", DRILL])
        told = journal.wait(drill_failed)["MESSAGE"]
        wait_for_property(web, DRILL, "ActiveState", "failed")
    print(told)
    assert "says nothing about the backup" in told
    assert "the unit that runs its container ended" in told
    assert listed(web)[0]["proven"] is None
    assert_nothing_is_left(web)
    with under_way(web):
        unit = instance(web)
        web.run(["systemctl", "kill", "--signal=KILL", DRILL])
        wait_for_property(web, unit, "ActiveState", "inactive")
    # What it left on the disk the next drill removes.
    assert containers(web) == ""


@pytest.fixture
def docker_again(backed_up: Bed) -> Iterator[None]:
    """Docker runs afterwards."""
    yield
    docker_daemon.start(backed_up.web)


def test_docker_that_goes_says_nothing_about_the_backup(contained: Bed, docker_again: None) -> None:
    web = contained.web
    with under_way(web), journal_from_now(web) as journal:
        docker_daemon.stop(web)
        web.run(["systemctl", "kill", "--signal=CONT", DRILL])
        told = journal.wait(drill_failed)["MESSAGE"]
        wait_for_property(web, DRILL, "ActiveState", "failed")
    print(told)
    assert "says nothing about the backup" in told
    assert "Docker ended meanwhile" in told
    away = web.run(["wbagent", "backup", "drill", newest(web)], check=False)
    print(away.stderr)
    assert (away.returncode, "cannot reach Docker" in away.stderr) == (74, True)
    assert listed(web)[0]["proven"] is None


def test_image_that_is_missing_is_fetched(contained: Bed) -> None:
    web = contained.web
    own = f"{ADDRESS}/empty:1"
    configure_web(contained, image=own)
    missing = web.run(["wbagent", "backup", "drill", newest(web)], check=False)
    print(missing.stderr)
    assert missing.returncode == 74
    assert f"{own} is not on this host and could not be fetched" in missing.stderr
    assert f"docker pull {own}" in missing.stderr
    with registry(web), journal_from_now(web) as journal:
        # A tar without anything in it.
        web.run(["docker", "import", "-", own], input=bytes(10240))
        web.run(["docker", "push", "--quiet", own])
        web.run(["docker", "rmi", own])
        drilled = web.run(["wbagent", "backup", "drill", newest(web)], check=False)
        journal.wait_for(f"fetching {own} for the drill")
    print(drilled.stderr)
    assert drilled.returncode == 74
    assert '"mysqld": executable file not found' in drilled.stderr
    assert "name an image of MySQL in [backup.drill] image" in drilled.stderr
    assert listed(web)[0]["proven"] is None
    web.run(["docker", "rmi", own])


def test_dump_is_proven(contained: Bed) -> None:
    web = contained.web
    # As after a power cut: a container that nobody vouches for does not stand in the way, nor does what is on the disk.
    web.run(["docker", "create", "--name", CONTAINER, "--label", "wbagent.drill=another", IMAGE])
    with journal_from_now(web, f"_SYSTEMD_UNIT={DRILL}") as journal:
        drilled = web.run(["wbagent", "backup", "drill", newest(web)], timeout=120)
        done = journal.wait(lambda entry: entry.get("MESSAGE_ID") == events.DRILL_DONE)
    print(done["MESSAGE"], drilled.stdout)
    assert f"restored into a container of {IMAGE}" in done["MESSAGE"]
    assert f"of image {IMAGE}" in drilled.stdout
    found = proof(contained)
    assert (found["ok"], found["image"]) == (True, IMAGE)
    wait_for_unit(web, AGENT, lambda unit: f"proven (in {IMAGE})" in unit.get("StatusText", ""))
    assert f"proven     in {IMAGE}" in web.run(["wbagent", "backup", "list"]).stdout
    assert f"of image {IMAGE}" in web.run(["wbagent", "backup", "show", "latest"]).stdout
    assert_nothing_is_left(web)


def test_bad_dump_is_found_out(contained: Bed) -> None:
    """All is as it was stored, and MySQL refuses it: only a restore tells."""
    web = contained.web
    spoil_dump(contained)
    drilled = web.run(["wbagent", "backup", "drill", newest(web)], timeout=120, check=False)
    print(drilled.stderr)
    assert (drilled.returncode, "is NOT a good one" in drilled.stderr) == (74, True)
    assert listed(web)[0]["proven"] is False
    assert_nothing_is_left(web)


def test_clone_is_proven(contained: Bed) -> None:
    """One of db1's, where web1 gets it from the bucket."""
    web = contained.web
    take_up(contained, enabled=False)
    with set_up_for_clones(contained):
        contained.db.run(["wbagent", "backup", "run"], timeout=120)
    configure_web(contained, {"owner": "db1", "destination": str(contained.bucket(BUCKET, "db1"))})
    shown = json.loads(web.run(["wbagent", "backup", "show", "latest", "--json"]).stdout)
    assert (shown["owner"], shown["engine"]) == ("db1", "clone")
    drilled = web.run(["wbagent", "backup", "drill", shown["id"]], timeout=120)
    print(drilled.stdout)
    assert f"backup {shown['id']} is proven" in drilled.stdout
    found = proof(contained, "db1")
    assert (found["image"], "pages and indexes (CHECK TABLE)" in found["compared"]) == (IMAGE, True)
    assert_nothing_is_left(web)


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


def objects(bed: Bed, owner: str) -> dict[str, str]:
    """The keys of the owner's backup, by what each ends in."""
    keys = [key for key in bed.store.keys(BUCKET) if key.startswith(f"{owner}/")]
    return {key.rpartition("/")[2]: key for key in keys}


def read(bed: Bed, key: str) -> bytes:
    body: bytes = bed.store.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


def proof(bed: Bed, owner: str = "web1") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(bed, objects(bed, owner)["proof.json"]))
    return found


def spoil_dump(bed: Bed) -> None:
    """Exchange the dump for one with a wrong statement, and the commit record for one that says that all is well."""
    keys = objects(bed, "web1")
    text = zstandard.ZstdDecompressor().decompressobj().decompress(read(bed, keys["database.sql.zst"]))
    spoilt = text.replace(b"INSERT INTO", b"INSERT INT", 1)
    data = zstandard.ZstdCompressor().compress(spoilt)
    manifest = json.loads(read(bed, keys["manifest.json"]))
    (stored,) = (each for each in manifest["objects"] if each["file"] == "database.sql.zst")
    stored |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    stored |= {"plain_size": len(spoilt), "plain_sha256": hashlib.sha256(spoilt).hexdigest()}
    for name, body in (("database.sql.zst", data), ("manifest.json", json.dumps(manifest).encode())):
        bed.store.client().put_object(Bucket=BUCKET, Key=keys[name], Body=body)
