"""Upgrades of the server on a booted host: the good way, each way to fail, and interruptions at each step."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pymysql
import pytest

from tests.host.server_case import UNIT, container, get, post
from tests.testbed.bed import PASSWORD, Bed, configure, reload
from tests.testbed.command import Result
from tests.testbed.host import Host
from tests.testbed.registry import ADDRESS, registry
from tests.testbed.sample_fingerprint import fingerprint
from tests.testbed.standin_image import image_changes, image_tar
from tests.testbed.watch import Properties, journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

UPGRADE = "wbagent-upgrade.service"
BACKUP = "wbagent-backup.service"
OLD = "wandb/local:0.82.0"
NEW = "wandb/local:0.83.0"
# With migrations that take some seconds, and (the last) longer than the start-up budget: they end dirty.
SLOW, DIRTY, PANICS = "wandb/local:0.83.1", "wandb/local:0.83.2", "wandb/local:0.83.3"
RELEASES = {
    OLD: {},
    NEW: {"STANDIN_SCHEMA_VERSION": "4"},
    SLOW: {"STANDIN_SCHEMA_VERSION": "4", "STANDIN_MIGRATION_SECONDS": "4"},
    DIRTY: {"STANDIN_SCHEMA_VERSION": "4", "STANDIN_MIGRATION_SECONDS": "60"},
    PANICS: {"STANDIN_PANIC": "NoSuchBucket"},
}
PROBES = {"startup_failures": 7, "startup_period": "1s", "liveness_period": "1s"}


@pytest.fixture(scope="module")
def images(booted: Bed) -> None:
    """The releases, on web1."""
    for name, environment in RELEASES.items():
        booted.web.import_image(image_tar(), name, image_changes(**environment))


@pytest.fixture
def serving(images: None, hosts: Bed) -> Bed:
    """The old release serves on web1."""
    return serve(hosts, OLD)


def serve(bed: Bed, image: str, **sections: dict[str, object]) -> Bed:
    sections = {"server.probes": PROBES, **sections}
    configure(bed.web, bed.web_settings(server={"image": image}, **sections))
    reload(bed.web)
    bed.web.run(["systemctl", "enable", "--now", UNIT])
    return bed


def upgrade(web: Host, *words: str) -> Result:
    """`wbagent server upgrade`, whatever comes of it."""
    return web.run(["wbagent", "server", "upgrade", *words], check=False, timeout=150)


def state(web: Host) -> dict[str, Any]:
    """What the upgrade has noted."""
    shown = web.run(["wbagent", "server", "upgrade", "--status", "--json"], check=False).stdout
    found: dict[str, Any] = json.loads(shown)
    return found


def serves(bed: Bed, image: str) -> bool:
    """Whether users get an answer from this image, and the configuration and the agent agree."""
    assert container(bed.web)["Config"]["Image"] == image
    assert f'image = "{image}"' in bed.web.read("/etc/wbagent.toml")
    assert "a restart would apply" not in bed.web.run(["wbagent", "status"], check=False).stdout
    return get(bed) == 200


def schema(bed: Bed) -> str:
    return bed.sql("SELECT version, dirty FROM schema_migrations", "wandb_local").strip()


def data(bed: Bed) -> Any:
    url = bed.mysql_url
    connection = pymysql.connect(host=url.host, user=url.user, password=PASSWORD, charset="utf8mb4", autocommit=True)
    with connection:
        return fingerprint(connection, url.database)


@contextmanager
def watched(bed: Bed) -> Iterator[list[tuple[float, int]]]:
    """What users get from /ready, all the time: (when, status)."""
    seen: list[tuple[float, int]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            seen.append((time.time(), get(bed)))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield seen
    finally:
        over.set()
        asking.join()


def when(account: dict[str, Any], text: str) -> float:
    """The time of the account's first line that begins so."""
    return next(float(at) for at, line in account["account"] if line.startswith(text))


def with_a_layer_of_its_own(web: Host, name: str, megabytes: int) -> None:
    """The new release under another name, and with so much in it that this host has not yet."""
    web.run(["dd", "if=/dev/urandom", "of=/root/noise", "bs=1M", f"count={megabytes}", "status=none"])
    web.run(["docker", "create", "--name=noisy", NEW])
    web.run(["docker", "cp", "/root/noise", "noisy:/noise"])
    web.run(["docker", "commit", "noisy", name])
    web.run(["docker", "rm", "noisy"])


def test_a_pull_while_the_old_one_serves_then_the_new_one(images: None, hosts: Bed) -> None:
    web = hosts.web
    old, new = f"{ADDRESS}/{OLD}", f"{ADDRESS}/{NEW}"
    web.run(["docker", "tag", OLD, old])
    with registry(web):
        with_a_layer_of_its_own(web, new, megabytes=20)
        web.run(["docker", "push", "--quiet", new])
        web.run(["docker", "rmi", new])
        serve(hosts, old)
        web.run(["sed", "-i", "s/^image = .*/& # pinned, see ticket 7/", "/etc/wbagent.toml"])
        before, mode = web.read("/etc/wbagent.toml"), web.run(["stat", "-c%a %U:%G", "/etc/wbagent.toml"]).stdout
        with watched(hosts) as seen:
            done = upgrade(web, "0.83.0")
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stderr, done.stdout, sep="\n")
    assert serves(hosts, new)
    assert web.read("/etc/wbagent.toml") == before.replace(old, new), "this one line, and its comment stays"
    assert web.run(["stat", "-c%a %U:%G", "/etc/wbagent.toml"]).stdout == mode
    assert schema(hosts) == "4\t0"
    account = state(web)
    replaced = when(account, "wrote image")
    assert {status for at, status in seen if at < replaced} == {200}
    assert when(account, "pulled") < when(account, "backup") < replaced
    down = [at for at, status in seen if status != 200]
    print(f"users' outage: {down[-1] - down[0]:.2f} s" if down else "users noticed nothing")
    listed = json.loads(web.run(["wbagent", "backup", "list", "--json"]).stdout)["backups"]
    assert account["backup"] in [one["id"] for one in listed]
    assert [alert.text for alert in hosts.receiver.alerts] == []
    assert [entry for entry in web.journal(UPGRADE) if entry.get("MESSAGE_ID") == events.UPGRADE_DONE]
    assert "nothing to do" in upgrade(web, "0.83.0").stdout
    # The way back, which nobody but the operator wants.
    back = upgrade(web, "--undo")
    assert back.returncode == 0, back.stdout + back.stderr
    assert serves(hosts, old)
    with registry(web):
        unknown = upgrade(web, "0.85.0")
    assert unknown.returncode == 75
    assert "nothing was changed" in unknown.stdout
    assert "manifest unknown" in unknown.stdout
    assert "check the tag" in unknown.stdout
    assert serves(hosts, old)


def test_an_image_from_a_file(serving: Bed) -> None:
    web = serving.web
    web.run(["docker", "tag", NEW, "wandb/local:0.84.0"])
    web.run(["docker", "save", "--output=/root/image.tar", "wandb/local:0.84.0"])
    web.run(["docker", "rmi", "wandb/local:0.84.0"])
    web.write("/root/plain.tar", image_tar().read_bytes())
    other = upgrade(web, "0.83.9", "--from-file", "/root/image.tar")
    assert (other.returncode, "does not hold wandb/local:0.83.9, but wandb/local:0.84.0" in other.stderr) == (64, True)
    plain = upgrade(web, "0.84.0", "--from-file", "/root/plain.tar")
    assert (plain.returncode, "holds no image but plain files" in plain.stderr) == (64, True)
    # Where Docker unpacks it there is too little room, whatever the check before could see.
    web.run(["mount", "-t", "tmpfs", "-o", "size=4m", "small", "/var/lib/docker/tmp"])
    try:
        full = upgrade(web, "0.84.0", "--from-file", "/root/image.tar")
    finally:
        web.run(["umount", "/var/lib/docker/tmp"])
    assert full.returncode == 75
    assert "no space left on device" in full.stdout
    assert "nothing was changed" in full.stdout
    assert serves(serving, OLD)
    done = web.run(["sh", "-c", "cd /root && wbagent server upgrade 0.84.0 --from-file image.tar"], timeout=120)
    assert re.search(r"loading: \S+ of \S+ read", done.stderr)
    assert "warning: wandb/local:0.82.0 -> wandb/local:0.84.0 skips 0.83" in done.stderr
    assert serves(serving, "wandb/local:0.84.0")
    web.run(["docker", "rmi", "--force", "wandb/local:0.84.0"], check=False)


def test_what_is_refused_is_refused_before_anything_is_done(serving: Bed) -> None:
    web = serving.web
    for words, reason in (
        (["latest"], 'the tag "latest" upgrades the server by surprise'),
        (["0.78.1"], "never to run 0.78.0 and 0.78.1"),
        (["0.81.0"], "do not go back"),
        (["0.83.0", "--without-backup", "--restore-database"], "needs the backup"),
        (["--undo"], "no upgrade to undo"),
    ):
        refused = upgrade(web, *words)
        assert refused.returncode in {64, 73, 78}
        assert reason in refused.stderr
    # A file system as small as that, as far as this command can see.
    small = "mount -t tmpfs -o size=4m small /var/lib/docker && exec wbagent server upgrade 0.90.0"
    full = web.run(["unshare", "--mount", "sh", "-c", small], check=False)
    assert full.returncode == 73
    assert re.search(r"needs about \S+ in /var/lib/docker, and 4.00M is free", full.stderr)
    web.run(["wbagent", "server", "pause", "disk is replaced"])
    assert "supervision is paused by root (disk is replaced)" in upgrade(web, "0.83.0").stderr
    web.run(["wbagent", "server", "resume"])
    post(serving, "unready")
    assert "lives but is not ready (/ready: 503" in upgrade(web, "0.83.0").stderr
    post(serving, "ready")
    assert upgrade_as_nobody(web).returncode == 77
    configure(web, serving.web_settings(server={"image": OLD}, backup={"enabled": False}))
    assert "no backup can be made" in upgrade(web, "0.83.0").stderr
    configure(web, serving.web_settings(server={"image": OLD}, backup={"mysql": "/nowhere/mysql"}))
    assert "could not be kept" in upgrade(web, "0.83.0", "--restore-database").stderr
    assert not web.exists("/var/lib/wbagent/server/upgrade.json")
    assert get(serving) == 200
    assert web.properties(UNIT)["NRestarts"] == "0"


def upgrade_as_nobody(web: Host) -> Result:
    return web.run(["wbagent", "server", "upgrade", "0.83.0"], user="nobody", check=False)


def test_a_new_image_that_panics_gives_way_to_the_old_one(serving: Bed) -> None:
    web = serving.web
    with begun(web, "0.83.3"):
        kill_when(web, at("migrations may run"))
    assert not serves(serving, PANICS)
    back = upgrade(web, "--undo")
    assert back.returncode == 0, back.stdout + back.stderr
    assert serves(serving, OLD)

    serving.receiver.forget()
    with watched(serving) as seen:
        failed = upgrade(web, "0.83.3")
    assert failed.returncode == 75, failed.stdout + failed.stderr
    print(failed.stdout)
    assert serves(serving, OLD)
    account = state(web)
    assert account["evidence"]["reason"] == "start-up budget spent"
    assert any("NoSuchBucket" in line for line in account["evidence"]["log"])
    shown = web.run(["wbagent", "server", "upgrade", "--status"])
    assert "panic: NoSuchBucket" in shown.stdout
    assert "now: wandb/local:0.82.0 serves again" in shown.stdout
    reader = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=systemd-journal", "--"]
    assert web.run([*reader, "wbagent", "server", "upgrade", "--status"]).stdout == shown.stdout
    assert {status for at, status in seen if at < when(account, "wrote image")} == {200}
    down = [at for at, status in seen if status != 200]
    print(f"users' outage: {down[-1] - down[0]:.2f} s, of that {PROBES['startup_failures']} s the start-up budget")
    told = serving.receiver.wait_for(lambda alert: "upgrade of the W&B server failed" in alert.text, timeout=30)
    assert "serves again" in told.text
    assert [alert.text for alert in serving.receiver.alerts if "server ended" in alert.text] == []


def test_a_migration_that_fails_and_the_way_back_with_the_database(serving: Bed) -> None:
    web = serving.web
    before = data(serving)
    failed = upgrade(web, "0.83.2")
    # Neither release lives with a dirty database, which is what the account says.
    assert failed.returncode == 74, failed.stdout + failed.stderr
    print(failed.stdout)
    assert schema(serving).endswith("\t1")
    assert "--undo --restore-database" in failed.stdout
    assert "STUCK" in web.run(["wbagent", "status"], check=False).stdout
    back = upgrade(web, "--undo", "--restore-database")
    assert back.returncode == 0, back.stdout + back.stderr
    print(back.stdout)
    assert serves(serving, OLD)
    assert data(serving) == before


def kill_when(web: Host, arrived: Any) -> None:
    """SIGKILL of the upgrade's unit once its status line says so."""
    unit = wait_for_unit(web, UPGRADE, lambda unit: unit["ActiveState"] == "activating" and arrived(unit))
    web.kill(int(unit["MainPID"]))
    wait_for_property(web, UPGRADE, "ActiveState", "failed")


def at(text: str) -> Any:
    def arrived(unit: Properties) -> bool:
        return text in unit.get("StatusText", "")

    return arrived


@contextmanager
def begun(web: Host, *words: str) -> Iterator[None]:
    """An upgrade under way, after Ctrl-C in its terminal."""
    with web.running(["wbagent", "server", "upgrade", *words]) as process:
        wait_for_property(web, UPGRADE, "ActiveState", "activating")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout
        assert b"the upgrade goes on without this command" in process.stdout.read()
        yield


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
