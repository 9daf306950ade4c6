"""The state of an upgrade as it is stored, and what is said of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from wbagent.errors import ConfigError, StateError
from wbagent.moment import Moment
from wbagent.server.torn import refuse_while_torn
from wbagent.upgrade import account, telling
from wbagent.upgrade.plan import Outcome, Step, Upgrade

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
    assert (directory / "upgrade.json").stat().st_mode & 0o777 == 0o640


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
    (directory / ".upgrade.json.new").symlink_to(victim)
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


def test_a_torn_database_keeps_the_server_away(directory: Path) -> None:
    refuse_while_torn(owner=os.getuid())
    account.write(replace(WHOLE, step=Step.RESTORE, torn=True))
    with pytest.raises(ConfigError, match="half restored"):
        refuse_while_torn(owner=os.getuid())
    # What another user wrote there says nothing.
    refuse_while_torn(owner=os.getuid() + 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only what root wrote is believed")
def test_an_upgrade_that_does_not_go_on_needs_a_person(directory: Path) -> None:
    account.write(replace(WHOLE, step=Step.RESTORE, torn=True))
    assert account.note(0.0, at_work=True).needs_person is False
    assert account.note(0.0, at_work=False).needs_person is True


@pytest.mark.skipif(os.getuid() != 0, reason="only what root wrote is believed")
def test_an_upgrade_that_failed_is_news_for_a_week(directory: Path) -> None:
    ended = WHOLE.account[-1][0]
    failed = replace(WHOLE, outcome=Outcome.UNDONE, failure="it did not get ready", undo_asked=False)
    account.write(failed)
    noted = account.note(ended + 3600, at_work=False)
    assert "FAILED 1h ago: it did not get ready" in noted.text
    assert not noted.needs_person
    assert account.note(ended + 8 * 86400, at_work=False) == account.NO_NOTE
    for quiet in (
        replace(failed, undo_asked=True),
        replace(failed, failure=""),
        replace(failed, outcome=Outcome.UPGRADED, failure=""),
    ):
        account.write(quiet)
        assert account.note(ended, at_work=False) == account.NO_NOTE


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_every_account_ends_with_what_is_and_what_to_do(outcome: Outcome | None) -> None:
    lines = list(telling.account(replace(WHOLE, outcome=outcome, failure="the disk is full"), evidence=True))
    assert lines[0].endswith("begun")
    assert "  | panic: NoSuchBucket" in lines
    assert any(line.startswith("next: wbagent") or "wbagent server upgrade" in line for line in lines)
    assert any(line.startswith(("now: ", "not finished: ")) for line in lines)
    assert telling.sentence(replace(WHOLE, outcome=outcome))
