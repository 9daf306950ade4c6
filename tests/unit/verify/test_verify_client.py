"""How the client is called: the key that it gets, what is told of its progress, and which checks go with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testbed.address import free_port
from wbagent.checks.areas import checks_of
from wbagent.checks.check import Subject
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import load
from wbagent.errors import ConfigError, WbagentError
from wbagent.verify.client import Labels, checked_api_key, read_api_key
from wbagent.verify.steps import CHOSEN, steps

KEY = "0123456789abcdef" * 2 + "01234567"
LOGIN, UPLOAD = "Checking if logged in".ljust(72, "."), "Checking signed URL upload".ljust(72, ".")


def test_the_label_of_the_last_line_is_told_once_and_before_the_line_ends() -> None:
    told: list[str] = []
    labels = Labels(told.append)
    for piece in (LOGIN[:10], LOGIN[10:], "\u2705\n", UPLOAD, "wandb: a word", " more\n", "\u2705\n"):
        labels.take(piece)
    assert told == ["Checking if logged in", "Checking signed URL upload"]


def test_a_key_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    assert read_api_key(path) == KEY
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="every user may read it"):
        read_api_key(path)


@pytest.mark.parametrize(
    "text", ["", "short", f"{KEY} {KEY}", f"key = {KEY}", f"{KEY}\n{KEY}", "\u00e4" * 40, "x" * 999]
)
def test_what_is_no_key_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked_api_key(text, "FILE")
    assert refused.value.message.startswith("FILE: expected an API key alone")
    assert not text or text not in refused.value.message


def configured(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "wbagent.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_every_check_that_is_chosen_is_there(tmp_path: Path) -> None:
    server = (
        '[server]\nhost = "https://wandb.example.com"\nimage = "wandb/local:0.83.0"\n'
        'bucket = "s3://KEY:SECRET@minio.example.com/files?tls=true"\nmysql = "mysql://u:p@db.example.com/w"\n'
    )
    settings = load(configured(tmp_path, server)).settings
    for area, names in CHOSEN.items():
        there = {check.name for check in checks_of(area, settings)}
        assert (names or there) <= there
    headings = steps(settings, None)
    assert list(headings) == ["address", "tls", "bucket", "log"]
    assert [check.name for check in headings["address"]][:2] == ["ready", "public address"]


def test_an_address_where_nobody_answers_fails_once(tmp_path: Path) -> None:
    host = f"https://127.0.0.1:{free_port('127.0.0.1')}"
    server = f'[server]\nhost = "{host}"\nimage = "wandb/local:0.83.0"\nembedded = true\n'
    settings = load(configured(tmp_path, server)).settings
    headings = steps(settings, None)
    results = run({name: headings[name] for name in ("address", "tls")}, Subject(settings, Scratch()))
    told = [(each.area, each.check, each.finding.verdict) for each in results]
    assert told == [("address", "ready", "fail"), ("tls", "https", "note")]


def test_a_host_without_a_server_has_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(WbagentError, match=r"no \[server\]"):
        steps(load(configured(tmp_path, "")).settings, None)
