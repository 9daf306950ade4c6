"""A path that names no file where one is to be: a sentence, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wbagent.errors import EX_USAGE


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize(
    "arguments", [["--config", "PATH", "config", "check"], ["--config", "FILE", "report", "-o", "PATH"]]
)
def test_it_is_refused(tmp_path: Path, arguments: list[str], path: str) -> None:
    (tmp_path / "wbagent.toml").touch(0o600)
    given = [{"PATH": path, "FILE": str(tmp_path / "wbagent.toml")}.get(each, each) for each in arguments]
    command = [sys.executable, "-m", "wbagent.cli.main", *given]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == EX_USAGE
    assert "names no file" in done.stderr
    assert "Traceback" not in done.stderr
