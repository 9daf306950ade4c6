"""Upgrades of the server that something comes between: kills at each step, a reboot, a backup that is due."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pymysql
import pytest

from tests.host.server_case import UNIT, container, get
from tests.host.upgrade_case import (
    BACKUP,
    OLD,
    PROBES,
    SLOW,
    UPGRADE,
    at,
    begun,
    data,
    import_releases,
    kill_when,
    schema,
    serve,
    serves,
    state,
    upgrade,
)
from tests.testbed.bed import PASSWORD, Bed, configure
from tests.testbed.host import Host
from tests.testbed.registry import ADDRESS, registry
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit


@pytest.fixture(scope="module")
def images(booted: Bed) -> None:
    import_releases(booted)


@pytest.fixture
def serving(images: None, hosts: Bed) -> Bed:
    """The old release serves on web1."""
    return serve(hosts, OLD)


@contextmanager
def the_lock_taken_after_the_backup(web: Host) -> Iterator[None]:
    """As if the next backup had begun already: the upgrade waits for it before it replaces anything."""
    lock = "/var/lib/wbagent/backup.lock"
    taking = f"systemd-run --quiet --unit=testbed-holder flock {lock} sleep infinity"
    taken = f"while flock --nonblock {lock} true; do :; done"
    drop_in = "/run/systemd/system/wbagent-backup.service.d/lock.conf"
    web.write(drop_in, f"[Service]\nExecStartPost=+/bin/sh -c '{taking}; {taken}'\n")
    web.run(["systemctl", "daemon-reload"])
    try:
        yield
    finally:
        web.run(["rm", drop_in])
        web.run(["systemctl", "daemon-reload"])
        web.run(["systemctl", "stop", "testbed-holder.service"])


def test_killed_at_every_step_it_is_completed(images: None, hosts: Bed) -> None:
    web = hosts.web
    old, new = f"{ADDRESS}/{OLD}", f"{ADDRESS}/{SLOW}"
    web.run(["docker", "tag", OLD, old])
    with registry(web):
        web.run(["docker", "tag", SLOW, new])
        web.run(["docker", "push", "--quiet", new])
        web.run(["docker", "rmi", new])
        serve(hosts, old)
        held = int(web.properties("testbed-registry.service")["MainPID"])
        web.kill(held, signal.SIGSTOP)
        with begun(web, "0.83.1"):
            kill_when(web, at("fetch the image"))
        web.kill(held, signal.SIGCONT)
        assert (state(web)["step"], get(hosts)) == ("fetch the image", 200)
        assert "INTERRUPTED" in web.run(["wbagent", "status"], check=False).stdout
        other = upgrade(web, "0.83.2")
        assert (other.returncode, "was interrupted" in other.stderr) == (64, True)
        back = upgrade(web, "--undo")
        assert (back.returncode, "nothing was changed" in back.stdout) == (0, True)

        with begun(web, "0.83.1"):
            # Not yet the process that goes before the backup's own.
            dumping = wait_for_unit(web, BACKUP, lambda unit: unit["MainPID"] != "0")
            web.kill(int(dumping["MainPID"]), signal.SIGSTOP)
            kill_when(web, at("back up"))
            web.kill(int(dumping["MainPID"]), signal.SIGCONT)
        assert (state(web)["step"], get(hosts)) == ("back up the database", 200)
        wait_for_property(web, BACKUP, "ActiveState", "inactive")

        with the_lock_taken_after_the_backup(web), begun(web, "0.83.1"):
            kill_when(web, at("waiting for a backup"))
        assert (state(web)["step"], get(hosts)) == ("write the new image into the configuration", 200)
        assert f'image = "{old}"' in web.read("/etc/wbagent.toml")

        with begun(web, "0.83.1"):
            kill_when(web, at("migrations may run"))
        assert state(web)["step"] == "start the new server"
        migrating = container(web)["Id"]
        done = upgrade(web, "0.83.1")
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert container(web)["Id"] == migrating, "a migration that runs is not disturbed"
    assert serves(hosts, new)
    assert schema(hosts) == "4\t0"


def test_a_restore_that_was_killed_keeps_the_server_away_and_is_completed(serving: Bed) -> None:
    web = serving.web
    before = data(serving)
    # The session holds a lock on a table, so dropping the database waits, and the rest can be killed there.
    with reading(serving), begun(web, "0.83.2", "--restore-database"):
        wait_for_unit(web, UPGRADE, lambda _: state(web)["torn"], timeout=90)
        kill_when(web, lambda _: True)
    assert (state(web)["step"], state(web)["torn"]) == ("restore the database", True)
    assert web.run(["systemctl", "start", UNIT], check=False).returncode != 0
    assert "half restored" in web.run(["wbagent", "status"], check=False).stdout
    web.reboot()
    assert web.properties(UNIT)["ActiveState"] == "failed"
    back = upgrade(web, "0.83.2")
    assert back.returncode == 75, back.stdout + back.stderr
    assert serves(serving, OLD)
    assert data(serving) == before


def wait_until_dirty(bed: Bed) -> None:
    """The migration has begun."""
    deadline = time.monotonic() + 30
    while not schema(bed).endswith("\t1"):
        assert time.monotonic() < deadline


@contextmanager
def reading(bed: Bed) -> Iterator[None]:
    url = replace(bed.mysql_url)
    connection = pymysql.connect(host=url.host, user=url.user, password=PASSWORD, database=url.database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM standin_users")
        yield


def test_a_reboot_while_the_new_one_migrates(serving: Bed) -> None:
    web = serving.web
    before = data(serving)
    # A boot is finished when nothing is left to be started at once, which the first restarts are.
    web.write(f"/etc/systemd/system/{UNIT}.d/later.conf", "[Service]\nRestartSec=5s\n")
    with begun(web, "0.83.1", "--restore-database"):
        wait_for_unit(web, UPGRADE, at("migrations may run"))
        wait_until_dirty(serving)
        web.reboot()
    # A shutdown is not the new release's fault, though its migration did not outlive it.
    assert state(web)["step"] == "start the new server"
    assert schema(serving).endswith("\t1")
    back = upgrade(web, "0.83.1")
    assert back.returncode == 75, back.stdout + back.stderr
    assert serves(serving, OLD)
    assert data(serving) == before


def test_a_daily_backup_that_is_due_meanwhile_waits_and_is_made_afterwards(serving: Bed) -> None:
    web = serving.web
    web.run(["systemctl", "stop", "wbagent.service"])
    settings = serving.web_settings(server={"image": OLD}, backup={"catch_up_after": "1s"}, **{"server.probes": PROBES})
    configure(web, settings)
    with begun(web, "0.83.1", "--without-backup"):
        wait_for_unit(web, UPGRADE, at("migrations may run"))
        with journal_from_now(web, "_SYSTEMD_UNIT=wbagent.service") as journal:
            # It knows of no backup, so one is due.
            web.run(["systemctl", "start", "wbagent.service"])
            journal.wait_for("the daily backup waits until the upgrade of the server is over", timeout=20)
            assert web.properties(UPGRADE)["ActiveState"] == "activating"
            journal.wait_for("the daily backup is started", timeout=30)
    wait_for_property(web, UPGRADE, "ActiveState", "inactive")
    wait_for_property(web, BACKUP, "Result", "success")
    assert serves(serving, SLOW)
    assert [alert.text for alert in serving.receiver.alerts] == []
