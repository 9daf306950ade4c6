"""`wbagent config` shows every key that can be set, and names every section that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wbagent.cli.main import cli

EVERYTHING = """
[server]
host = "https://wandb.example.com"
image = "wandb/local:0.83.0"
bucket = "s3://KEY:SECRET@minio.example.com:9000/files?region=us-east-1&tls=true"
mysql = "mysql://wandb_local:SECRET@db1.example.com/wandb_local"
[standby]
url = "mysql://wbagent:SECRET@db2.example.com/wandb_local"
[monitor.disk]
paths = ["/srv"]
[monitor.cpu.units]
"mysql.service" = 40
[metrics]
listen = "127.0.0.1:9797"
textfile = "/run/wbagent-metrics/wbagent.prom"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wbagent.toml"
    path.write_text(EVERYTHING)
    path.chmod(0o640)
    return path


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is installed, its agent may not read a test's file."""
    monkeypatch.setattr("wbagent.config.layers.agent_may_read", lambda _path: True)


def run(file: Path, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["--config", str(file), "config", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_whatever_is_set_can_be_shown(file: Path) -> None:
    shown = run(file, "show")
    assert '"127.0.0.1:9797"' in shown
    assert '"/run/wbagent-metrics/wbagent.prom"' in shown
    assert "SECRET" not in shown
    assert json.loads(run(file, "show", "--json"))["metrics.listen"]["value"] == "127.0.0.1:9797"


def test_each_section_that_is_set_is_named(file: Path) -> None:
    assert "sections set: server, standby, monitor, metrics\n" in run(file, "check")
