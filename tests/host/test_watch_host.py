"""What the agent sees of its host, each trouble brought about for real, and exactly what a person is told of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host
from tests.testbed.kernel_clock import synchronised
from tests.testbed.out_of_memory import kill_for_want_of_memory
from tests.testbed.receiver import Alert
from tests.testbed.switch import Switch
from tests.testbed.watch import wait_for_unit
from wbagent import events

AGENT = "wbagent.service"
OFTEN: dict[str, Any] = {"sample_every": "1s"}
STATE = "/var/lib/wbagent"
SMALL, HUNG = "/srv/small", "/srv/hung"

# A file system that takes no question: nobody ever reads what the kernel asks.
HANG = f"""
import ctypes, os, signal, sys
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={{device}},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"hung", b"{HUNG}", b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print("hangs", flush=True)
signal.pause()
"""


def settings(hosts: Bed, **monitor: dict[str, Any]) -> dict[str, Any]:
    """Of db1, with these watches; no backup comes in between, and what others do on this machine is left out."""
    quiet: dict[str, Any] = {f"monitor.{area}": {"enabled": False} for area in ("cpu", "memory", "clock")}
    wanted = {f"monitor.{area.replace('_', '.')}": table for area, table in monitor.items()}
    return hosts.db_settings(backup={"enabled": False}, **(quiet | wanted))


def told(hosts: Bed, text: str, timeout: float = 60) -> Alert:
    return hosts.receiver.wait_for(lambda alert: text in alert.text, timeout=timeout)


@pytest.mark.alone
def test_a_unit_that_takes_the_processors_is_told_by_name(hosts: Bed) -> None:
    db = hosts.db
    quick = OFTEN | {"above_percent": 50, "for_minutes": 0.1, "resolve_minutes": 0.05}
    configure(db, settings(hosts, cpu=quick, cpu_units={'"burner.slice"': 4}))
    reload(db)
    for number in range(os.cpu_count() or 1):
        options = ["--quiet", f"--unit=burner-{number}", "--slice=burner.slice", "--property=Nice=-5"]
        db.run(["systemd-run", *options, "sh", "-c", "while :; do :; done"])
    try:
        of_host, of_unit = told(hosts, "The processors are"), told(hosts, "burner.slice uses")
    finally:
        db.run(["systemctl", "stop", "burner.slice"])
    assert "most of it was: burner.slice" in of_host.text
    assert "Busiest processor" in of_host.text
    assert "Somebody waited for one" in of_host.text
    assert "short of resources" in of_host.text
    assert "needs a wbagent of its own" not in of_host.text
    assert "of all processors" in of_unit.text
    told(hosts, "CPU of burner.slice below 4 % again")
    # The host's own may still last: others use this machine.
    assert sum("burner.slice" in title for title in hosts.receiver.titles) == 2


def found_in_the_journal(db: Host) -> None:
    """The full disk, by the manual's commands: its fields, and its explanation in the reader's language."""
    by_id = ["journalctl", "--no-pager", "-t", "wbagent", f"MESSAGE_ID={events.ALERTS['disk-full']}", "-n1"]
    entry = json.loads(db.run([*by_id, "-o", "json"]).stdout)
    assert (entry["WBAGENT_ALERT_KIND"], entry["WBAGENT_ABOUT"]) == ("disk-full", SMALL)
    assert (entry["WBAGENT_TRANSITION"], entry["WBAGENT_SEVERITY"], entry["WBAGENT_HOST"]) == (
        "firing",
        "critical",
        "db1",
    )
    assert 99 < float(entry["WBAGENT_VALUE"]) <= 100
    assert (entry["WBAGENT_THRESHOLD"], entry["WBAGENT_MEASURED_IN"]) == ("97", "percent")
    english = db.run([*by_id, "-x"]).stdout
    assert f"Subject: The file system {SMALL} is full" in english
    assert "To do: make room at once." in english
    # The tree has no Japanese locale. journalctl goes by the name of one that can be loaded, so a copy serves.
    db.run(["install", "-d", "/run/locales"])
    db.run(["cp", "-rT", "/usr/lib/locale/C.utf8", "/run/locales/ja_JP.UTF-8"])
    japanese = db.run(["env", "LOCPATH=/run/locales", "LC_ALL=ja_JP.UTF-8", *by_id, "-x"]).stdout
    assert f"Subject: ファイルシステム {SMALL} が満杯です" in japanese
    assert "対処: 直ちに空きを作ってください。" in japanese


def test_a_disk_that_fills_up_and_is_mended(hosts: Bed) -> None:
    db = hosts.db
    db.run(["install", "-d", SMALL])
    db.run(["mount", "-t", "tmpfs", "-o", "size=20M,nr_inodes=200", "small", SMALL])
    try:
        configure(db, settings(hosts, disk=OFTEN | {"paths": [SMALL], "for_minutes": 0}))
        reload(db)
        db.run(["fallocate", "-l", "18600K", f"{SMALL}/one"])
        assert f"{SMALL} is 91 % full: 1.84M of 20.0M are left." in told(hosts, "91 % full").text
        db.run(["fallocate", "-l", "1800K", f"{SMALL}/two"])
        assert "[critical]" in told(hosts, "is FULL: 100 %").text
        assert f"disk {SMALL} is full" in db.run(["wbagent", "status"], check=False).stdout
        found_in_the_journal(db)
        db.run(["rm", f"{SMALL}/one", f"{SMALL}/two"])
        told(hosts, "is no longer full")
        told(hosts, "has room again")
        db.run(["sh", "-c", f"seq 190 | sed 's|^|{SMALL}/|' | xargs touch"])
        told(hosts, "of its inodes are used")
        db.run(["sh", "-c", f"rm {SMALL}/*"])
        told(hosts, "has inodes again")
    finally:
        db.run(["umount", SMALL])
    assert sorted(hosts.receiver.titles) == sorted(
        [
            f"disk {SMALL}: 91 % full, 1.84M left",
            f"disk {SMALL} is FULL: 100 %, 80.0K left",
            f"disk {SMALL} is no longer full",
            f"disk {SMALL} has room again",
            f"disk {SMALL}: 96 % of its inodes are used",
            f"disk {SMALL} has inodes again",
        ]
    )


@contextmanager
def small_state_directory(host: Host) -> Iterator[None]:
    """A file system of 2 MiB as the agent's state directory, while that does not run."""
    host.run(["systemctl", "stop", AGENT])
    host.run(["mount", "-t", "tmpfs", "-o", "size=2M,mode=0750,uid=wbagent,gid=wbagent", "small", STATE])
    try:
        yield
    finally:
        host.run(["systemctl", "stop", "wbagent-deliver.service", AGENT], check=False)
        host.run(["umount", "--lazy", STATE])


def test_a_full_state_directory_is_told_past_the_outbox_and_shown(hosts: Bed) -> None:
    """MySQL stands still meanwhile: of that nobody can be told, and so they are told that they are told of nothing."""
    db = hosts.db
    mysqld = int(db.properties("mysql.service")["MainPID"])
    quick = {"every": "5s", "for_minutes": 0.05}
    with small_state_directory(db), Switch(address=hosts.bridge.gateway) as switch:
        pings = {"ping_agent": switch.url("agent"), "ping_every": "10s"}
        wanted = settings(hosts, database=quick)
        configure(db, wanted | {"alerts": wanted["alerts"] | pings})
        try:
            db.run(["systemctl", "start", AGENT])
            db.run(["sh", "-c", f"cat /dev/zero >{STATE}/filler"], check=False)
            db.kill(mysqld, signal.SIGSTOP)
            message = told(hosts, "ALERTS ARE BLIND", timeout=120)
            assert "database or disk is full" in message.text
            assert f"df {STATE}" in message.text
            wait_for_unit(db, AGENT, lambda unit: "ALERTS ARE BLIND" in unit["StatusText"])
            shown = db.run(["wbagent", "status"], check=False)
            assert shown.returncode == 3
            assert "ALERTS ARE BLIND, nobody is told of anything" in shown.stdout
            switch.wait_for(lambda heard: heard.path == "/agent/fail", timeout=30)
        finally:
            db.kill(mysqld, signal.SIGCONT)
            db.run(["rm", "-f", f"{STATE}/filler"])
        told(hosts, "alerts are kept again", timeout=120)
        wait_for_unit(db, AGENT, lambda unit: "no alerts" in unit["StatusText"])
    assert hosts.receiver.titles == ["ALERTS ARE BLIND: wbagent cannot keep them", "alerts are kept again"]


def test_a_file_system_that_hangs_holds_up_nobody(hosts: Bed) -> None:
    db = hosts.db
    db.run(["install", "-d", HUNG, SMALL])
    db.run(["mount", "-t", "tmpfs", "-o", "size=20M", "small", SMALL])
    try:
        with db.running(["python3", "-c", HANG]) as hanging:
            assert hanging.stdout
            assert hanging.stdout.readline() == b"hangs\n"
            db.run(["fallocate", "-l", "20M", f"{SMALL}/all"])
            configure(db, settings(hosts, disk=OFTEN | {"paths": [HUNG, SMALL], "for_minutes": 0}))
            reload(db)
            told(hosts, "is FULL: 100 %")
            told(hosts, f"{HUNG} has not answered")
            begun = time.monotonic()
            db.run(["systemctl", "restart", AGENT])
            assert time.monotonic() - begun < 15
            unit = wait_for_unit(db, AGENT, lambda unit: "ALERT" in unit["StatusText"])
            assert unit["NRestarts"] == "0"
    finally:
        db.run(["umount", "--lazy", HUNG], check=False)
        db.run(["umount", SMALL])
    assert sorted(hosts.receiver.titles) == [
        f"disk {HUNG} does not answer",
        f"disk {SMALL} is FULL: 100 %, 0B left",
    ]


@pytest.mark.alone
def test_kills_an_unsynchronised_clock_and_a_failed_socket(hosts: Bed) -> None:
    db = hosts.db
    broken = "/run/systemd/system/wandb-local-mysql.socket.d/broken.conf"
    with synchronised(value=True):
        configure(db, settings(hosts, memory=OFTEN, clock=OFTEN | {"unsynchronised_for": "2s"}, units=OFTEN))
        reload(db)
        assert "no alerts" in db.properties(AGENT)["StatusText"]
        kill_for_want_of_memory(db)
        killed = told(hosts, "killed for want of memory")
        assert "The kernel killed 1 in the last 10min" in killed.text
        with synchronised(value=False):
            assert "no time service is on" in told(hosts, "the clock is not synchronised").text
        told(hosts, "The kernel's clock is synchronised.")
        db.write(broken, "[Socket]\nListenStream=/proc/no-such-place/mysql.sock\n")
        try:
            db.run(["systemctl", "daemon-reload"])
            db.run(["systemctl", "start", "wandb-local-mysql.socket"], check=False)
            assert "systemctl reset-failed" in told(hosts, "wandb-local-mysql.socket failed").text
        finally:
            db.run(["rm", "-r", broken.rpartition("/")[0]])
            db.run(["systemctl", "daemon-reload"])
        db.run(["systemctl", "reset-failed", "wandb-local-mysql.socket"])
        told(hosts, "wandb-local-mysql.socket is mended")
    seen = hosts.receiver.titles
    assert len(seen) == 5, seen
    assert sum("killed for want of memory" in title for title in seen) == 1
