"""Secrets in the host's credential stores: which one counts, and which of them make a section."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.config import credstore, load
from wbagent.setup.existing import ExistsError, existing

DESTINATION = "s3://K:S@store.example.com/backups"


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two plain stores of this test alone, in the order in which they are searched."""
    made = (tmp_path / "etc", tmp_path / "run")
    for directory in made:
        directory.mkdir(mode=0o700)
    monkeypatch.setattr(credstore, "PLAIN", made)
    monkeypatch.setattr(credstore, "ENCRYPTED", ())
    return made


def keep(directory: Path, name: str, secret: str) -> None:
    path = directory / name
    path.write_text(f"{secret}\n")
    path.chmod(0o600)


def test_the_first_of_a_name_counts_and_only_ours(stores: tuple[Path, Path]) -> None:
    keep(stores[0], "wbagent.alerts.to", "json://first/")
    keep(stores[1], "wbagent.alerts.to", "json://second/")
    keep(stores[1], "wbagent.backup.destination", DESTINATION)
    keep(stores[1], "other", "x")
    keep(stores[0], ".wbagent-init.wbagent.server.mysql", "x")
    found = credstore.stored_credentials()
    assert [(path.parent, path.name) for path in found] == [
        (stores[0], "wbagent.alerts.to"),
        (stores[1], "wbagent.backup.destination"),
    ]
    assert [credstore.unseal(path) for path in found] == ["json://first/", DESTINATION]
    assert [path.name for path in credstore.stored_credentials("backup")] == ["wbagent.backup.destination"]


def test_secrets_of_the_server_make_no_server(stores: tuple[Path, Path], tmp_path: Path) -> None:
    """A configuration without [server] stays one, so that they can be put in their place before the file is."""
    path = tmp_path / "wbagent.toml"
    path.write_text("")
    keep(stores[0], "wbagent.server.mysql", "mysql://u:p@db.example.com/d")
    keep(stores[0], "wbagent.backup.destination", DESTINATION)
    loaded = load(path, stores[0])
    assert loaded.settings.server is None
    assert str(loaded.settings.backup.destination) == DESTINATION
    assert ("server", "mysql") not in loaded.origins


def test_a_server_of_credentials_alone_is_one(stores: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text("")
    for name, text in {
        "host": "https://wandb.example.com",
        "image": "wandb/local:0.83.0",
        "mysql": "mysql://u:p@db.example.com/d",
        "bucket": "s3://K:S@store.example.com/files",
    }.items():
        keep(stores[0], f"wbagent.server.{name}", text)
    server = load(path, stores[0]).settings.server
    assert server
    assert server.host == "https://wandb.example.com"


def test_what_exists_is_told_and_stays(stores: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "wbagent.toml"
    path.write_text("#[server]\n")
    existing(path).refuse()
    (tmp_path / "wbagent.toml.d").mkdir()
    (tmp_path / "wbagent.toml.d" / "more.toml").write_text("[monitor.cpu]\nenabled = false\n")
    with pytest.raises(ExistsError) as raised:
        existing(path).refuse()
    assert "[monitor] in" in raised.value.message
    assert "more.toml" in raised.value.message
    assert raised.value.exit_status == 73


def test_a_credential_that_is_there_is_an_answer(stores: tuple[Path, Path], tmp_path: Path) -> None:
    keep(stores[1], "wbagent.alerts.to", "json://x/")
    keep(stores[1], "wbagent.standby.url", "mysql://u:p@h/d")
    found = existing(tmp_path / "wbagent.toml")
    found.refuse()
    assert found.answers() == {"alerts": "json://x/"}
