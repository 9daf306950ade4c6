"""A person waits about ten seconds, and not minutes, for a store and a MySQL whose packets are dropped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.testbed.address import free_port
from tests.testbed.unreachable import unreachable
from wbagent.bucket.client import USUAL
from wbagent.errors import EX_UNAVAILABLE
from wbagent.state import State

# What six Pythons that import boto3 at once may take to start on a busy machine.
_START_S: Final = 30
# Two connections at most, and up to a second between them; boto3's own five would be 50 s.
LONGEST_S: Final = USUAL.silence + USUAL.connect + 1 + _START_S
# The store is waited for once (5 s) and MySQL once (10 s) in each area, and areas run side by side.
CHECK_S: Final = 5 + 10 + _START_S
# Within it the check, and beside that one the backups, the binary logs and the report.
BUNDLE_S: Final = CHECK_S + 15


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    took_s: float
    said: str


class Operator:
    """Somebody at a terminal of a host with this configuration."""

    def __init__(self, directory: Path, store: tuple[str, int], database: tuple[str, int]) -> None:
        self._file, self._state = directory / "wbagent.toml", directory / "state"
        self._state.mkdir()
        with State(self._state / "state.db"):
            pass
        mysql = f"mysql://user:password@{database[0]}:{database[1]}/wandb_local"
        s3 = f"s3://KEY:SECRET@{store[0]}:{store[1]}"
        self._file.touch(0o600)
        self._file.write_text(
            f'[server]\nhost = "http://127.0.0.1:{free_port("127.0.0.1")}"\nport = {free_port("127.0.0.1")}\n'
            f'bind = "127.0.0.1"\nimage = "wandb/local:0.83.0"\nmysql = "{mysql}"\nbucket = "{s3}/files?tls=false"\n'
            f'[database]\nurl = "{mysql}"\n[backup]\nowner = "web1"\ndestination = "{s3}/backups?tls=false"\n'
        )

    def types(self, *arguments: str | Path) -> Ended:
        """What came of it."""
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "wbagent.cli.main", "--config", self._file, *arguments],
            env={**os.environ, "WBAGENT_STATE_DIRECTORY": str(self._state)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(done.returncode, time.monotonic() - began, done.stdout or done.stderr)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with unreachable() as store, unreachable() as database:
        yield Operator(tmp_path, store, database)


def test_what_is_typed_gives_up(operator: Operator) -> None:
    commands = (
        ("backup", "list"),
        ("backup", "show", "latest"),
        ("backup", "check-destination"),
        ("binlog", "status"),
        ("bucket", "create", "--yes"),
        ("bucket", "cors", "--yes"),
    )
    with ThreadPoolExecutor(len(commands)) as pool:
        ended = dict(zip(commands, pool.map(lambda words: operator.types(*words), commands), strict=True))
    assert {words: each.status for words, each in ended.items()} == dict.fromkeys(commands, EX_UNAVAILABLE)
    assert all("Connect timeout" in each.said for each in ended.values())
    assert {words: each.took_s for words, each in ended.items() if each.took_s > LONGEST_S} == {}


def test_check_and_bundle_have_all_the_rest(operator: Operator, tmp_path: Path) -> None:
    bundle = tmp_path / "support.tar.gz"
    with ThreadPoolExecutor(2) as pool:
        checking = pool.submit(operator.types, "check", "--json")
        collected = pool.submit(operator.types, "support-bundle", "-o", bundle).result()
        checked = checking.result()
    assert checked.took_s < CHECK_S
    of_backup = {each["check"]: each for each in json.loads(checked.said)["results"] if each["area"] == "backup"}
    assert of_backup["reachable"]["verdict"] == "fail"
    for name in ("keys", "newest", "engine"):
        assert of_backup[name]["verdict"] == "note"
        assert of_backup[name]["found"].startswith("not looked at: the ")
    assert of_backup["keys"]["took_s"] < 1
    assert collected.took_s < BUNDLE_S
    files = unpacked(bundle)
    assert {each["area"] for each in json.loads(files["wbagent/checks.json"])["results"]} >= {"host", "backup"}
    assert {"wbagent/status.json", "wbagent/report.html", "wbagent/alerts.json"} <= set(files)
    missing: dict[str, Any] = json.loads(files["manifest.json"])["missing"]
    assert "could not be listed" in missing["wbagent/backups.json"]


def unpacked(bundle: Path) -> dict[str, str]:
    """The files of an archive by their names."""
    with tarfile.open(bundle) as archive:
        opened = ((each.name.partition("/")[2], archive.extractfile(each)) for each in archive)
        return {name: file.read().decode() for name, file in opened if file}
