"""What is found on a host, and what is said of it: each verdict once for the right reason."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wbagent.checks.check import Subject, Verdict
from wbagent.checks.host import capacity, checks, clock, database_disk, port, space, system
from wbagent.checks.host.clock import Kernel
from wbagent.checks.host.database_disk import Latency
from wbagent.checks.host.part import Database, database_of, written_places
from wbagent.checks.host.port import Listener
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings, load
from wbagent.config.monitor import DiskSettings
from wbagent.errors import WbagentError
from wbagent.monitor.disk import FileSystem, Space

GIB = 1 << 30
SERVER = """
[server]
host = "https://wandb.example.com"
image = "wandb/local:0.83.0"
"""
EXTERNAL = 'bucket = "s3://KEY:SECRET@minio:9000/files"\nmysql = "mysql://wandb_local:PASSWORD@{host}/wandb_local"\n'


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    file = tmp_path / "wbagent.toml"
    file.write_text(request.param)
    file.chmod(0o600)
    return load(file).settings


def configured(text: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("settings", [text], indirect=True)


# --- which checks ---


@configured("")
def test_before_an_installation_all_is_looked_at(settings: Settings) -> None:
    names = {check.name for check in checks(settings)}
    assert {"memory", "port", "disk speed", "disk kind", "clock", "free disk", "firewall", "systemd"} <= names
    assert database_of(settings) == Database("/var/lib/mysql")
    assert set(written_places(settings, "/var/lib/mysql").values()) == {"mysql", "docker", "state"}


@configured('[database]\nurl = "mysql://wandb_backup:PASSWORD@127.0.0.1:1/wandb_local"\n')
def test_a_database_host_needs_no_room_for_the_server(settings: Settings) -> None:
    names = {check.name for check in checks(settings)}
    assert {"disk speed", "clock"} <= names
    assert not {"memory", "processors", "port", "architecture"} & names
    # MySQL does not answer there: it is where packages put it.
    assert database_of(settings) == Database("/var/lib/mysql")


@configured(SERVER + EXTERNAL.format(host="192.0.2.7"))
def test_a_database_elsewhere_is_not_measured_here(settings: Settings) -> None:
    of_the_disk = [check for check in checks(settings) if check.name.startswith("disk")]
    [found] = run({"host": of_the_disk}, Subject(settings, Scratch()))
    assert found.finding.verdict is Verdict.NOTE
    assert "192.0.2.7" in found.finding.found
    assert database_of(settings) == Database("", "192.0.2.7")


@configured(SERVER + 'embedded = true\nvolume = "/srv/wandb"\n')
def test_an_embedded_database_is_in_the_volume(settings: Settings) -> None:
    assert database_of(settings) == Database("/srv/wandb")


# --- capacity ---


@pytest.mark.parametrize(
    ("total", "verdict", "said"),
    [
        (4 * GIB, "fail", "4.00G"),
        # 8 GiB, less what the kernel keeps.
        (int(7.7 * GIB), "note", "64 GB"),
        (31 * GIB, "note", "64 GB"),
        (62 * GIB, "pass", "62.0G"),
    ],
)
def test_memory(total: int, verdict: str, said: str) -> None:
    found = capacity.judge_memory(total)
    assert (found.verdict, said in found.found) == (verdict, True)


@pytest.mark.parametrize(("count", "verdict"), [(2, "warn"), (4, "note"), (8, "pass")])
def test_processors(count: int, verdict: str) -> None:
    assert capacity.judge_processors(count).verdict == verdict


@pytest.mark.parametrize(
    ("total", "used", "swappiness", "database", "verdict"),
    [
        (0, 0, 60, True, "pass"),
        (4 * GIB, 0, 60, True, "note"),
        (4 * GIB, 0, 60, False, "pass"),
        (4 * GIB, 0, 1, True, "pass"),
        (4 * GIB, 2 * GIB, 1, True, "warn"),
    ],
)
def test_swap(total: int, used: int, swappiness: int, database: bool, verdict: str) -> None:
    assert capacity.judge_swap(total, used, 16 * GIB, swappiness, database=database).verdict == verdict


# --- the system ---


@pytest.mark.parametrize(
    ("shown", "runs", "verdict"),
    [
        ("systemd 257 (257.8-1~deb13u2)\n+PAM +AUDIT", True, "pass"),
        ("systemd 254 (254.1)", True, "pass"),
        ("systemd 252 (252.38-1~deb12u1)", True, "fail"),
        ("systemd 257 (257.8)", False, "fail"),
        ("", True, "note"),
    ],
)
def test_systemd(shown: str, runs: bool, verdict: str) -> None:
    assert system.judge_systemd(shown, runs=runs).verdict == verdict


@pytest.mark.parametrize(("machine", "verdict"), [("x86_64", "pass"), ("aarch64", "fail")])
def test_architecture(machine: str, verdict: str) -> None:
    assert system.judge_architecture(machine).verdict == verdict


@pytest.mark.parametrize(
    ("nr_open", "container", "embedded", "verdict"),
    [
        (1 << 20, None, True, "pass"),
        (1 << 20, 262_144, True, "pass"),
        (1 << 20, 1024, True, "fail"),
        (1 << 20, 1024, False, "pass"),
        (65_536, None, True, "fail"),
        (65_536, None, False, "note"),
    ],
)
def test_open_files(nr_open: int, container: int | None, embedded: bool, verdict: str) -> None:
    assert system.judge_open_files(nr_open, container, embedded=embedded).verdict == verdict


@pytest.mark.parametrize(
    ("synchronised", "most_s", "service", "verdict", "said"),
    [
        (True, 0.0123, True, "pass", "0.012s"),
        (True, 0.0123, None, "pass", "0.012s"),
        (True, 7.0, True, "warn", "no time server"),
        (False, 16.0, True, "warn", "although a time service is on"),
        (False, 16.0, False, "warn", "no time service is on"),
        (False, 16.0, None, "warn", "not synchronised"),
    ],
)
def test_clock(synchronised: bool, most_s: float, service: bool | None, verdict: str, said: str) -> None:
    found = clock.judge(Kernel(synchronised, most_s), service=service)
    assert (found.verdict, said in found.found) == (verdict, True)


def test_the_kernel_tells_of_its_clock() -> None:
    assert clock.kernel().most_s >= 0


# --- room ---


def file_system(used: int, available: int, inodes_free: int = 900, **more: object) -> FileSystem:
    return FileSystem("/srv", ("docker",), Space(used + available, used, available, 1000, inodes_free))


@pytest.mark.parametrize(
    ("each", "verdict", "said"),
    [
        (file_system(50, 50), "pass", "free (Docker)"),
        (file_system(91, 9), "warn", "9B of 100B free"),
        (file_system(98, 2), "fail", "2B of 100B free"),
        (file_system(50, 50, inodes_free=50), "warn", "95 % of the inodes"),
        (FileSystem("/srv", ("docker",), None, "it does not answer within 5 s", hangs=True), "fail", "does not answer"),
        (FileSystem("/srv", ("docker",), None, "/srv: Permission denied"), "note", "Permission denied"),
    ],
)
def test_free_disk(each: FileSystem, verdict: str, said: str) -> None:
    found = space.judge(each, DiskSettings())
    assert (found.verdict, found.about, said in found.found) == (verdict, "/srv", True)


def test_where_no_database_is_none_is_named(tmp_path: Path) -> None:
    nothing, missing = Settings(), tmp_path / "mysql"
    assert not any("the database" in each.found for each in space.free_disk(nothing, str(missing)))
    missing.mkdir()
    assert any("the database" in each.found for each in space.free_disk(nothing, str(missing)))


# --- the disk's pace ---


@pytest.mark.parametrize(
    ("milliseconds", "verdict"),
    [
        ([0.6] * 200, "pass"),
        ([0.6] * 199 + [300.0], "pass"),
        ([0.6] * 199 + [1500.0], "warn"),
        # An allowance: four at once, then one waits.
        ([0.6, 0.6, 0.6, 100.0] * 40, "warn"),
        ([8.3] * 200, "warn"),
        ([50.0] * 80, "fail"),
        ([0.0004] * 200, "note"),
        ([5000.0], "fail"),
    ],
)
def test_disk_speed(milliseconds: list[float], verdict: str) -> None:
    latency = Latency.of("/var/lib", [each / 1000 for each in milliseconds])
    assert latency.syncs == len(milliseconds)
    assert database_disk.judge_speed(latency).verdict == verdict


def test_what_is_said_of_a_slow_disk() -> None:
    found = database_disk.judge_speed(Latency.of("/var/lib", [0.05] * 79 + [0.1]))
    figures = "mean 50 ms, median 50 ms, worst 100 ms, of 80 syncs in /var/lib"
    assert found.found == f"{figures}: 10 commits a second one after another at most"


def test_a_measure_leaves_nothing_behind(tmp_path: Path) -> None:
    found = database_disk.measure(tmp_path, Scratch(), syncs=5)
    assert (found.directory, found.syncs, list(tmp_path.iterdir())) == (str(tmp_path), 5, [])


def test_a_measure_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a disk that gets full: the third block is refused.
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            database_disk.measure(tmp_path, Scratch())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_no_measure_begins_after_the_interruption(tmp_path: Path) -> None:
    scratch = Scratch()
    scratch.clear()
    with pytest.raises(WbagentError):
        database_disk.measure(tmp_path, scratch)
    assert list(tmp_path.iterdir()) == []


# --- the port ---


_LISTENER = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as taken:
    print(taken.getsockname()[1], flush=True)
    sys.stdin.read()
"""


def test_a_program_that_listens_is_named() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        number = int(other.stdout.readline())
        [by_all] = port.listeners("0.0.0.0", number)
        [by_loopback] = port.listeners("127.0.0.1", number)
        assert port.listeners("127.0.0.2", number) == ()
        other.communicate()
    assert by_all == by_loopback
    assert (by_all.address, by_all.pid) == ("127.0.0.1", other.pid)
    assert str(other.pid) in port.judge(number, (by_all,), "").found
    assert port.listeners("0.0.0.0", number) == ()


def test_what_this_run_of_checks_put_in_the_servers_place_is_not_in_the_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        assert port.listeners("0.0.0.0", own.getsockname()[1]) == ()


@pytest.mark.parametrize(
    ("found", "container", "verdict", "said"),
    [
        ((), "", "pass", "free"),
        ((Listener("0.0.0.0", "docker-proxy", 7, "docker.service"),), "wandb-local", "pass", "own"),
        ((Listener("0.0.0.0", "docker-proxy", 7, "docker.service"),), "grafana", "fail", "the container grafana"),
        ((), "grafana", "fail", "the container grafana"),
        ((Listener("::", "nginx", 7, "nginx.service"),), "", "fail", "nginx (process 7 of nginx.service)"),
        ((Listener("::"),), "", "fail", "a program of another user"),
    ],
)
def test_port(found: tuple[Listener, ...], container: str, verdict: str, said: str) -> None:
    judged = port.judge(8080, found, container)
    assert (judged.verdict, said in judged.found) == (verdict, True)


def test_a_service_in_the_way_is_stopped_by_name() -> None:
    judged = port.judge(8080, (Listener("::", "nginx", 7, "nginx.service"),), "")
    assert judged.remedy.splitlines()[0] == "systemctl stop nginx.service"


def test_who_publishes_the_port() -> None:
    containers: list[dict[str, Any]] = [
        {"Names": ["/idle"], "Ports": []},
        {"Names": ["/other"], "Ports": [{"PrivatePort": 8080}, {"PrivatePort": 80, "PublicPort": 8081}]},
        {"Names": ["/wandb-local"], "Ports": [{"PrivatePort": 8080, "PublicPort": 8080}]},
    ]
    assert [port.publishing(containers, number) for number in (8080, 8081, 80)] == ["wandb-local", "other", ""]
