"""`wbagent check host` on disks that are fast, throttled by the kernel, full and in memory; and interrupted on one."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.cgroup import command_in
from tests.testbed.command import run
from tests.testbed.errors import BedError
from tests.testbed.loop_disk import LoopDisk, loop_disk, throttled
from tests.testbed.memory_disk import memory_disk

WBAGENT = [sys.executable, "-m", "wbagent.cli.main"]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopDisk]:
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system is mounted")
    try:
        with loop_disk(tmp_path_factory.mktemp("disk")) as made:
            yield made
    except BedError as error:
        pytest.skip(f"no disk to be measured: {error}")


@pytest.fixture
def slow(disk: LoopDisk) -> Iterator[Path]:
    """The control group of those for whom the disk makes 10 writes a second."""
    try:
        with throttled(disk, writes=10) as group:
            yield group
    except BedError as error:
        pytest.skip(str(error))


def command(directory: Path, configuration: Path, *arguments: str) -> list[str]:
    """Of a host whose embedded database is in this directory."""
    configuration.write_text(
        f'[server]\nhost = "https://wandb.example.com"\nimage = "wandb/local:0.83.0"\n'
        f'embedded = true\nvolume = "{directory}"\n'
    )
    configuration.chmod(0o600)
    return [*WBAGENT, "--config", str(configuration), "check", "host", *arguments]


def found(line: list[str]) -> dict[str, Any]:
    """What was found, by check; of what was looked at several times, the last."""
    document = json.loads(run(line, check=False).stdout)
    assert document["status"] == max(
        {"pass": 0, "note": 0, "warn": 1, "fail": 2}[each["verdict"]] for each in document["results"]
    )
    return {each["check"]: each for each in document["results"]}


def test_a_disk_that_answers_at_once(disk: LoopDisk, tmp_path: Path) -> None:
    told = found(command(disk.directory, tmp_path / "c.toml", "--json"))
    assert (told["disk speed"]["verdict"], str(disk.directory) in told["disk speed"]["found"]) == ("pass", True)
    # Through the loop device to what its file lies on.
    assert told["disk kind"]["verdict"] == "fail"
    assert f"{disk.directory} is on tmpfs" in told["disk kind"]["found"]
    assert [path.name for path in disk.directory.iterdir()] == ["lost+found"]


def test_a_throttled_disk(disk: LoopDisk, slow: Path, tmp_path: Path) -> None:
    speed = found(command_in(slow, command(disk.directory, tmp_path / "c.toml", "--json")))["disk speed"]
    assert speed["verdict"] == "fail"
    assert "commits a second" in speed["found"]
    # 10 writes a second, of which each sync is one: 100 ms, and 4 s are all that is spent on it.
    mean = float(speed["found"].split()[1])
    assert 50 < mean < 200
    assert "SSD" in speed["needed"]
    assert [path.name for path in disk.directory.iterdir()] == ["lost+found"]


def test_a_disk_in_memory_and_a_full_one(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system is mounted")
    with memory_disk(tmp_path / "small", "16K") as small:
        told = found(command(small, tmp_path / "c.toml", "--json"))
    assert told["disk kind"]["verdict"] == "fail"
    assert (told["disk speed"]["verdict"], told["disk speed"]["found"]) == ("fail", "No space left on device")


@contextmanager
def on_a_terminal(line: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run it with stderr on a terminal, whose other end this gives."""
    ours, theirs = pty.openpty()
    # As from a shell on it: under nohup or in the background some signals are ignored, and stay so.
    line = ["env", "--default-signal", *line]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def rest_of(terminal: int) -> str:
    """All that is written to the terminal until nobody has it open any more."""
    pieces = []
    while True:
        try:
            pieces.append(os.read(terminal, 4096))
        except OSError:
            return b"".join(pieces).decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_in_the_midst_of_it(disk: LoopDisk, slow: Path, tmp_path: Path, number: signal.Signals) -> None:
    with on_a_terminal(command_in(slow, command(disk.directory, tmp_path / "c.toml"))) as (process, terminal):
        shown = ""
        while "disk speed" not in shown:
            shown += os.read(terminal, 4096).decode(errors="replace")
        until = time.monotonic() + 10
        while not list(disk.directory.glob(".wbagent-check-*")):
            assert time.monotonic() < until
        process.send_signal(number)
        # A person who has no patience.
        process.send_signal(number)
        said = rest_of(terminal)
        status = process.wait(10)
        assert process.stdout is not None
        printed = process.stdout.read()
    assert (status, printed) == (128 + number, b"")
    assert "interrupted; what checks had made is removed" in said
    assert "Traceback" not in shown + said
    assert [path.name for path in disk.directory.iterdir()] == ["lost+found"]


def test_a_mount_whose_name_is_in_another_coding_hides_no_other(tmp_path: Path) -> None:
    """/proc/self/mountinfo has the bytes of each name as they are."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system is mounted")
    foreign = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(foreign)  # noqa: PTH102 - a name that is no text
    ask = "import sys; from wbagent.monitor.disk import Asker; print(Asker().answers([sys.argv[1]])[sys.argv[1]])"
    mount = 'mount -t tmpfs none "$1" && exec "$2" -X utf8 -c "$3" "$4"'
    within = ["unshare", "--mount", "--propagation=private", "sh", "-ec", mount, "sh"]
    done = subprocess.run(
        [*within, foreign, sys.executable, ask, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "Space(" in done.stdout
    assert done.stderr == ""
