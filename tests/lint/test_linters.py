"""The linters, run as tests: style and types of every Python file, and the shell scripts' syntax."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", ".", "dev"],
        ["ruff", "format", "--check", ".", "dev"],
        ["mypy", "wbagent", "tests", "bench", "dev"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_python(command: list[str]) -> None:
    result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("script", [".ci/run"])
def test_shell(script: str) -> None:
    result = subprocess.run(["bash", "-n", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
