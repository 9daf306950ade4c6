"""`wbagent check` whose output nobody takes: its exit status is of what was found, or of the failure to write it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wbagent.errors import EX_IOERR


def check(tmp_path: Path, output: int, *arguments: str) -> tuple[int, str]:
    """The exit status and standard error of a check that has a note and nothing else to tell."""
    (tmp_path / "wbagent.toml").touch(0o600)
    command = [sys.executable, "-m", "wbagent.cli.main", "--config", str(tmp_path / "wbagent.toml"), "check", "bucket"]
    done = subprocess.run([*command, *arguments], stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_reader_has_left(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert check(tmp_path, writer, *arguments) == (0, "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_disk_is_full(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        status, said = check(tmp_path, full.fileno(), *arguments)
    assert status == EX_IOERR
    assert "No space left on device" in said
    assert "Traceback" not in said
