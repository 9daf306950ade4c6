"""The settings that one run of the unit keeps for the next: taken only when reading anew would give the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.config import load
from wbagent.config.sources import snapshot
from wbagent.server.__main__ import _resolve
from wbagent.server.digest_key import digest_key
from wbagent.server.settings import Kept, RunSettings, kept
from wbagent.server.specification import specification

CONFIGURATION = """\
[server]
host = "https://wandb.example.com"
image = "wandb/local:0.83.0"
bucket = "s3://KEY:SECRET@minio.example.com:9000/wandb-files"
mysql_file = "{secret}"
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with every kind of source: the file, a drop-in, a KEY_file, a credential."""
    secret = tmp_path / "mysql"
    _write(secret, "mysql://wandb_local:PASSWORD@db1.example.com/wandb_local")
    _write(tmp_path / "credentials/wbagent.server.license", "license")
    _write(tmp_path / "wbagent.toml.d/10-port.toml", "[server]\nport = 8081\n")
    _write(tmp_path / "wbagent.toml", CONFIGURATION.format(secret=secret))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    return tmp_path / "wbagent.toml"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o640)


def test_what_was_kept_is_what_would_be_read(path: Path) -> None:
    server = load(path, only="server").settings.server
    assert server
    found = kept(path, _resolve(path).to_json())
    assert found == RunSettings.of(server, digest_key())
    assert found.port == 8081
    for systemd_cgroups in (True, False):
        wanted = specification(server, systemd_cgroups=systemd_cgroups)
        assert found.specification(systemd_cgroups=systemd_cgroups) == wanted
        assert "LICENSE=license" in wanted.config["Env"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text(path.read_text() + "port = 9000\n"),
    "comment": lambda path: path.write_text(path.read_text() + "# nothing\n"),
    "drop-in": lambda path: _write(path.parent / "wbagent.toml.d/10-port.toml", "[server]\nport = 8082\n"),
    "new drop-in": lambda path: _write(path.parent / "wbagent.toml.d/20.toml", ""),
    "lost drop-in": lambda path: (path.parent / "wbagent.toml.d/10-port.toml").unlink(),
    "renamed drop-in": lambda path: (path.parent / "wbagent.toml.d/10-port.toml").rename(
        path.parent / "wbagent.toml.d/90.toml"
    ),
    "secret": lambda path: (path.parent / "mysql").write_text("mysql://a:b@c/d"),
    "lost secret": lambda path: (path.parent / "mysql").unlink(),
    "everybody may read the secret": lambda path: (path.parent / "mysql").chmod(0o644),
    "everybody may read the file": lambda path: path.chmod(0o644),
    "credential": lambda path: (path.parent / "credentials/wbagent.server.license").write_text("other"),
    "new credential": lambda path: _write(path.parent / "credentials/wbagent.server.redis", "redis://r:1"),
    "lost file": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_has_it_read_anew(path: Path, change: Callable[[Path], object]) -> None:
    content = _resolve(path).to_json()
    assert kept(path, content)
    change(path)
    assert kept(path, content) is None


def test_a_new_release_has_it_read_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = _resolve(path).to_json()
    monkeypatch.setattr("wbagent.config.sources.__version__", "99")
    assert kept(path, content) is None


def test_what_is_set_to_look_like_another_file_is_a_change(path: Path) -> None:
    # Where one file ends and the next begins is part of the snapshot.
    before = snapshot(path, ())
    drop_in = path.parent / "wbagent.toml.d/10-port.toml"
    text = path.read_text() + drop_in.read_text()
    drop_in.write_text("")
    path.write_text(text)
    assert snapshot(path, ()) != before


@given(st.binary(max_size=200))
def test_anything_else_is_as_good_as_nothing(content: bytes) -> None:
    assert kept(Path("/etc/wbagent.toml"), content) is None


def test_half_of_it_is_as_good_as_nothing(path: Path) -> None:
    content = _resolve(path).to_json()
    for length in range(len(content)):
        assert kept(path, content[:length]) is None


def test_nothing_is_at_hand_outside_of_the_unit(path: Path) -> None:
    assert kept(path) is None


def test_another_shape_is_as_good_as_nothing(path: Path) -> None:
    found = _resolve(path)
    for name in ("host", "probes", "sliced"):
        text = found.to_json().replace(f'"{name}"'.encode(), b'"other"')
        assert kept(path, text) is None
    assert Kept.from_json(found.to_json()) == found
