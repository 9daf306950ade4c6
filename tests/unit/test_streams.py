"""The command line where a stream is closed, or takes other letters than ours: what it does not change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wbagent.errors import EX_USAGE
from wbagent.state import State

WBAGENT = [sys.executable, "-m", "wbagent.cli.main"]


def wbagent(
    directory: Path, *arguments: str | bytes, closing: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it with these redirections of the shell, beside a configuration that names one destination."""
    configuration = directory / "wbagent.toml"
    configuration.touch(0o600)
    configuration.write_text('[alerts]\nto = ["slack://aaaaaaaaa/bbbbbbbbb/cccccccccccc"]\n')
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closing}', "sh", *WBAGENT, "--config", str(configuration), *arguments],
        env=os.environ | {"WBAGENT_STATE_DIRECTORY": str(directory)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("closing", "told"),
    [(">&-", ""), ("2>&-", "told: slack://…\n"), ("<&-", "told: slack://…\n"), ("<&- >&- 2>&-", "")],
)
def test_what_is_closed_changes_nothing_else(tmp_path: Path, closing: str, told: str) -> None:
    with State(tmp_path / "state.db"):
        pass
    done = wbagent(tmp_path, "alerts", "list", closing=closing)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(told)
    assert bool(done.stdout) is bool(told)
    checked = wbagent(tmp_path, "check", "bucket", closing=closing)
    assert (checked.returncode, "Traceback" in checked.stderr) == (0, False)
    wrong = wbagent(tmp_path, "nonsense", closing=closing)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (EX_USAGE, False)


def test_a_terminal_that_lacks_a_letter(tmp_path: Path) -> None:
    with State(tmp_path / "state.db"):
        pass
    done = wbagent(tmp_path, "alerts", "list", PYTHONIOENCODING="iso-8859-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "told: slack://?" in done.stdout


def test_an_argument_that_is_no_text(tmp_path: Path) -> None:
    """Kept for others, it is shown to them without the bytes that mean nothing; else it is refused."""
    (tmp_path / "server").mkdir()
    silenced = wbagent(
        tmp_path, "alerts", "silence", "cpu", "--for", "1h", "--why", b"caf\xe9", PYTHONIOENCODING="utf-8"
    )
    assert (silenced.returncode, silenced.stderr) == (0, "")
    assert "caf?" in wbagent(tmp_path, "alerts", "list", PYTHONIOENCODING="utf-8").stdout
    refused = wbagent(tmp_path, "server", "pause", b"caf\xe9", PYTHONIOENCODING="utf-8")
    assert (refused.returncode, refused.stderr) == (EX_USAGE, "error: an argument is no text in UTF-8\n")
    assert not (tmp_path / "server" / "pause.json").exists()
