"""The bed itself: that hosts boot, that a cut link is cut, that nothing outlives its host."""

from __future__ import annotations

import time
import urllib.request

import pytest

from tests.testbed.bed import IMAGE, Bed, create_database
from tests.testbed.command import CommandError, DeadlineError, lines
from tests.testbed.host import Host
from tests.testbed.package import installed_version, version_of
from tests.testbed.reset import set_back
from tests.testbed.watch import journal_from_now, wait_for_end, wait_for_property, wait_for_unit

_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"


def can_connect(host: Host, address: str, port: int) -> bool:
    """Whether a program on the host reaches the port."""
    return host.run(["python3", "-c", _CONNECT, address, str(port)], check=False).returncode == 0


def units(host: Host, *arguments: str) -> str:
    """The lines of `systemctl list-units` for the arguments."""
    return host.run(["systemctl", "list-units", "--no-legend", "--plain", *arguments]).stdout


def test_both_hosts_are_up_without_a_failed_unit(hosts: Bed) -> None:
    # Set back: what the test before left running (a drill after its backup, say) may fail at any moment.
    for host in hosts.hosts:
        assert units(host, "--failed") == ""
        assert host.run(["systemctl", "is-system-running"]).stdout == "running\n"
        assert host.run(["hostname"]).stdout == f"{host.name}\n"


def test_what_follows_an_ended_unit_does_not_outlive_the_setting_back(booted: Bed) -> None:
    """Each is started by the end of the one before it, as a drill is by its backup; the last one fails."""
    web = booted.web
    chain = {
        "first": ("OnSuccess=wbagent-second.service", "sleep infinity"),
        "second": ("OnSuccess=wbagent-third.service", "sleep infinity"),
        "third": ("", "false"),
    }
    for name, (following, command) in chain.items():
        text = f"[Unit]\n{following}\n[Service]\nExecStart={command}\n"
        web.write(f"/run/systemd/system/wbagent-{name}.service", text)
    web.run(["systemctl", "daemon-reload"])
    web.run(["systemctl", "start", "wbagent-first.service"])
    try:
        set_back(booted)
        assert units(web, "wbagent-*") == ""
        assert units(web, "--failed") == ""
    finally:
        for name in chain:
            web.run(["rm", f"/run/systemd/system/wbagent-{name}.service"])
        web.run(["systemctl", "daemon-reload"])


def test_docker_and_mysql_are_real(booted: Bed) -> None:
    assert booted.web.run(["docker", "info", "--format", "{{.Driver}} {{.CgroupVersion}}"]).stdout == "overlay2 2\n"
    assert booted.sql("SELECT @@version, @@hostname").split() == [booted.sql("SELECT version()").strip(), "db1"]
    assert booted.web.run(["/opt/mysql-client/bin/mysqldump", "--version"]).stdout.startswith("mysqldump  Ver 9.")


def test_docker_runs_the_stand_in_against_mysql(booted: Bed) -> None:
    url = booted.mysql_url
    booted.web.run(
        [
            *("docker", "run", "--detach", "--name=stand-in", "--publish=8080:8080"),
            *("--env", f"HOST=http://{booted.web.address}:8080", "--env", f"MYSQL={url}"),
            *("--env", f"BUCKET={booted.bucket('wandb-files')}", "--env", "BUCKET_QUEUE=internal://"),
            IMAGE,
        ]
    )
    try:
        with lines(booted.web.command(["docker", "logs", "--follow", "stand-in"])) as log:
            deadline = time.monotonic() + 20
            while "serves http" not in log.next(deadline):
                pass
        with urllib.request.urlopen(f"http://{booted.web.address}:8080/ready", timeout=5) as answer:
            assert answer.status == 200
        assert booted.sql("SHOW TABLES", "wandb_local")
    finally:
        booted.web.run(["docker", "rm", "--force", "--volumes", "stand-in"])
        create_database(booted)


def test_a_cut_link_is_cut_and_comes_back(booted: Bed) -> None:
    assert can_connect(booted.web, booted.db.address, 3306)
    with booted.db.cut_off():
        assert not can_connect(booted.web, booted.db.address, 3306)
        assert can_connect(booted.db, "127.0.0.1", 3306)
        assert can_connect(booted.web, booted.store.address, booted.store.port)
    assert can_connect(booted.web, booted.db.address, 3306)


def test_the_bucket_is_cut_off_alone(booted: Bed) -> None:
    with booted.bucket_place.cut_off():
        assert not can_connect(booted.web, booted.store.address, booted.store.port)
        assert can_connect(booted.web, booted.db.address, 3306)
    assert can_connect(booted.web, booted.store.address, booted.store.port)


def test_files_outlast_a_reboot_and_processes_do_not(booted: Bed) -> None:
    web = booted.web
    web.write("/srv/kept", "text", mode=0o640, owner="root:wbagent")
    web.run(["systemd-run", "--unit=ends-with-the-boot", "sleep", "infinity"])
    started = web.run(["systemctl", "show", "--property=UserspaceTimestampMonotonic"]).stdout
    web.reboot()
    assert web.run(["stat", "--format=%U:%G %a", "/srv/kept"]).stdout == "root:wbagent 640\n"
    assert web.read("/srv/kept") == "text"
    assert web.properties("ends-with-the-boot.service")["LoadState"] == "not-found"
    assert web.properties("docker.service")["ActiveState"] == "active"
    assert web.run(["systemctl", "show", "--property=UserspaceTimestampMonotonic"]).stdout != started


def test_a_power_cut_leaves_no_process(booted: Bed) -> None:
    with booted.web.running(["sh", "-c", "echo up; sleep infinity"]) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        booted.web.power_cut()
        assert process.wait(10) != 0
    assert not booted.web.runs
    booted.web.boot()
    assert booted.web.run(["systemctl", "is-system-running"], check=False).stdout == "running\n"


def test_a_shutdown_ends_services_in_order(booted: Bed) -> None:
    booted.db.shutdown()
    assert not booted.db.runs
    booted.db.boot()
    with_crash = [entry["MESSAGE"] for entry in booted.db.journal("mysql.service") if "crash" in str(entry["MESSAGE"])]
    assert with_crash == []
    assert booted.sql("SELECT 1") == "1\n"


def test_commands_fail_loudly(booted: Bed) -> None:
    with pytest.raises(CommandError, match=r"(?s)root@web1.*status 3.*a reason"):
        booted.web.run(["sh", "-c", "echo a reason >&2; exit 3"])
    started = time.monotonic()
    with pytest.raises(DeadlineError, match="still ran after"):
        booted.web.run(["sh", "-c", "echo $$ >/run/late; exec sleep 60"], timeout=0.5)
    assert time.monotonic() - started < 10
    wait_for_end(booted.web, int(booted.web.read("/run/late")), timeout=10)


def test_commands_run_as_any_user(booted: Bed) -> None:
    assert booted.web.run(["id", "--user", "--name"], user="wbagent").stdout == "wbagent\n"
    assert booted.web.run(["cat", "/etc/shadow"], user="wbagent", check=False).returncode == 1


def test_unit_changes_and_journal_lines_are_awaited(booted: Bed) -> None:
    web = booted.web
    with journal_from_now(web, "--unit=blinker") as journal:
        web.run(["systemd-run", "--unit=blinker", "-p", "Restart=always", "-p", "RestartSec=50ms", "sleep", "0.2"])
        reached = wait_for_unit(web, "blinker.service", lambda unit: int(unit["NRestarts"]) >= 2, timeout=20)
        assert int(reached["NRestarts"]) >= 2
        journal.wait_for("restart counter is at 2", timeout=20)
    web.run(["systemctl", "stop", "--no-block", "blinker.service"])
    wait_for_property(web, "blinker.service", "ActiveState", "inactive", timeout=20)
    with pytest.raises(DeadlineError, match=r"docker\.service on web1"):
        wait_for_property(web, "docker.service", "ActiveState", "inactive", timeout=0.5)


def test_the_package_is_installed_from_its_file(booted: Bed) -> None:
    for host in booted.hosts:
        assert installed_version(host) == version_of(booted.deb) != ""
