"""The state of an upgrade as it is stored, and what is said of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from wbagent.errors import ConfigError, StateError
from wbagent.moment import Moment
from wbagent.upgrade import account, telling
from wbagent.upgrade.plan import Outcome, Step, Upgrade
from wbagent.upgrade.torn import refuse_while_torn

OLD, NEW = "wandb/local:0.83.0", "wandb/local:0.84.0"
WHOLE = Upgrade(
    OLD,
    NEW,
    Step.START,
    file="/root/image.tar",
    backup="20261126T030000Z",
    backup_made=Moment(5.0, 6.0, "boot"),
    account=((1.0, "begun"), (2.0, "fetched")),
    evidence={"reason": "exited", "detail": "status 1", "probe": "/ready: 503", "log": ["panic: NoSuchBucket"]},
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "server").mkdir()
    return tmp_path / "server"


@pytest.mark.parametrize("upgrade", [WHOLE, Upgrade(OLD, NEW), replace(WHOLE, outcome=Outcome.STUCK, torn=True)])
def test_it_comes_back_as_it_was(upgrade: Upgrade, directory: Path) -> None:
    account.write(upgrade)
    assert account.read(owner=os.getuid()) == upgrade
    assert (directory / "upgrade.json").stat().st_mode & 0o777 == 0o640 & ~_umask()


def test_what_another_user_wrote_is_not_believed(directory: Path) -> None:
    account.write(WHOLE)
    assert account.read(owner=os.getuid() + 1) is None
    # Nor is a link followed, whoever made it.
    (directory / "upgrade.json").rename(directory / "elsewhere")
    (directory / "upgrade.json").symlink_to("elsewhere")
    assert account.read(owner=os.getuid()) is None


def test_a_link_is_not_written_through(directory: Path) -> None:
    victim = directory / "victim"
    victim.write_text("untouched")
    (directory / "upgrade.new").symlink_to(victim)
    account.write(WHOLE)
    assert victim.read_text() == "untouched"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"old": "a"}', '{"old": "a", "new": "b", "unknown": 1}'])
def test_what_cannot_be_understood_is_none(text: str, directory: Path) -> None:
    (directory / "upgrade.json").write_text(text)
    assert account.read(owner=os.getuid()) is None


def test_only_one_at_a_time(directory: Path) -> None:
    with account.alone(), pytest.raises(StateError, match="another upgrade"), account.alone():
        pass
    with account.alone():
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only what root wrote is believed")
def test_a_torn_database_keeps_the_server_away(directory: Path) -> None:
    refuse_while_torn()
    account.write(replace(WHOLE, step=Step.RESTORE, torn=True))
    with pytest.raises(ConfigError, match="half restored"):
        refuse_while_torn()
    assert account.note(at_work=True).needs_person is False
    assert account.note(at_work=False).needs_person is True


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_every_account_ends_with_what_is_and_what_to_do(outcome: Outcome | None) -> None:
    lines = list(telling.account(replace(WHOLE, outcome=outcome, failure="the disk is full"), evidence=True))
    assert lines[0].endswith("begun")
    assert "  | panic: NoSuchBucket" in lines
    assert any(line.startswith("next: wbagent") or "wbagent server upgrade" in line for line in lines)
    assert any(line.startswith(("now: ", "not finished: ")) for line in lines)
    assert telling.sentence(replace(WHOLE, outcome=outcome))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
