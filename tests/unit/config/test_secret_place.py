"""A connection string is put down whole, for group wbagent at most, and nowhere by halves."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wbagent.config.secret_place import CredentialPlace, FilePlace, place_for
from wbagent.errors import ConfigError, StateError, UsageError

KEY = ("server", "mysql")
URL = "mysql://wandb_local:p%2Bw@db1:3306/wandb_local"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    place = FilePlace(KEY, tmp_path / "mysql")
    assert place.read() is None
    place.write(URL)
    assert place.read() == URL
    assert place.line == f'[server]\nmysql_file = "{tmp_path}/mysql"'
    assert [path.name for path in tmp_path.iterdir()] == ["mysql"]


def test_nobody_else_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FilePlace(KEY, tmp_path / "mysql").write(URL)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mysql").stat().st_mode) in {0o600, 0o640}


def test_a_file_that_waits_there_is_not_written_into(tmp_path: Path) -> None:
    place = FilePlace(KEY, tmp_path / "mysql")
    (tmp_path / ".mysql.new").symlink_to(tmp_path / "elsewhere")
    place.write(URL)
    assert place.read() == URL
    assert [path.name for path in tmp_path.iterdir()] == ["mysql"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    place = FilePlace(KEY, tmp_path / "mysql")
    place.write(URL)
    (tmp_path / ".mysql.new").mkdir()
    with pytest.raises(StateError, match="mysql cannot be written"):
        place.write("other")
    assert place.read() == URL


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "mysql").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        FilePlace(KEY, tmp_path / "mysql").read()


def test_places() -> None:
    assert place_for(KEY, None, of_this_host=False) == FilePlace(KEY, Path("/etc/wbagent.toml.d/server.mysql"))
    assert place_for(KEY, "/root/mysql", of_this_host=True) == FilePlace(KEY, Path("/root/mysql"))
    with pytest.raises(UsageError, match="absolute path"):
        place_for(KEY, "mysql", of_this_host=True)
    assert CredentialPlace(KEY).name == "wbagent.server.mysql"
    # The units read it by its name: no line has to.
    assert CredentialPlace(KEY).line == ""
