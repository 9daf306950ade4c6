"""Upgrades of the server on a booted host: the good way, an image from a file, and each way to fail."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.host.server_case import UNIT, get, post
from tests.host.upgrade_case import (
    NEW,
    OLD,
    PANICS,
    PROBES,
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
from tests.testbed.bed import Bed, configure
from tests.testbed.command import Result
from tests.testbed.host import Host
from tests.testbed.registry import ADDRESS, registry
from tests.testbed.standin_image import image_tar
from wbagent import events


@pytest.fixture(scope="module")
def images(booted: Bed) -> None:
    import_releases(booted)


@pytest.fixture
def serving(images: None, hosts: Bed) -> Bed:
    """The old release serves on web1."""
    return serve(hosts, OLD)


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
