"""Replacing the line of an embedded server: nothing else in the file changes, and its mode and owner stay."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.config.externalized import externalized, is_embedded
from wbagent.config.rewrite import write_like
from wbagent.errors import ConfigError

MYSQL = MysqlURL.parse("mysql://wandb_local:p%2Bw%22@db1/wandb_local")
BUCKET = S3URL.parse("s3://KEY:a%2Fb@minio:9000/files?region=us-east-1")
TEXT = """# ours
[server]
host = "https://w.example.com"   # the front door
  embedded = true  # a trial
image = "wandb/local:0.83.0"

[server.env]
embedded = "true"
"""


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), TEXT.replace(" = true  # a trial", "=true")])
def test_only_the_line_changes(text: str) -> None:
    result = externalized(text, MYSQL, BUCKET)
    server = tomllib.loads(result)["server"]
    assert (server["mysql"], server["bucket"]) == (str(MYSQL), str(BUCKET))
    assert is_embedded(text)
    assert not is_embedded(result)
    kept = [line for line in text.splitlines() if "true" not in line or '"' in line]
    assert [line for line in result.splitlines() if not line.startswith(("mysql", "bucket"))] == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[server]\nhost = "h"\n',
        "server = {embedded = true}\n",
        '[backup]\nembedded = true\n[server]\nhost = "h"\n',
        '[server]\nmore = """\nembedded = true\n"""\n',
        TEXT.replace("= true", "= false"),
    ],
)
def test_a_line_that_cannot_be_found_is_left_alone(text: str) -> None:
    with pytest.raises(ConfigError, match="was not found"):
        externalized(text, MYSQL, BUCKET)


def test_mode_stays(tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text("old")
    path.chmod(0o640)
    write_like(path, "new", like=path)
    write_like(tmp_path / "kept", "old", like=path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o640
    assert sorted(found.name for found in tmp_path.iterdir()) == ["kept", "wbagent.toml"]
