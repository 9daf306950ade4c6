"""Moving an embedded server out: whatever is interrupted, a second run ends it well, and undoing is always possible."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from wbagent.cli.server_externalize import Ends
from wbagent.errors import UsageError
from wbagent.server import door
from wbagent.server.externalize import (
    Record,
    Step,
    forget_record,
    read_record,
    record_path,
    steps,
    steps_back,
    write_record,
)

RECORD = Record("db1:3306/wandb_local", "minio:9000/files", "/etc/wbagent.toml.embedded")


@dataclass(frozen=True)
class World:
    """What the steps change. `data` grows with each moment that the door was open on an embedded server."""

    embedded: bool = True
    closed: bool = False
    record: Record | None = None
    data: int = 1
    backup: int = 0
    database: int | None = None
    objects: int = 0
    serving: bool = True


def do(world: World, step: Step) -> World:  # noqa: PLR0911 - one for each step
    """One step, with what it relies on."""
    match step:
        case Step.CLOSE:
            return replace(world, closed=True)
        case Step.BACK_UP:
            return replace(world, backup=world.data)
        case Step.EMPTY:
            assert world.record is not None
            assert world.record.filling, "a database is emptied that another one filled"
            return replace(world, database=None)
        case Step.COPY_DATABASE:
            assert world.closed
            assert world.database is None, "a backup is restored into a database that is not empty"
            assert world.record is not None
            return replace(world, database=world.backup, record=replace(world.record, filling=True))
        case Step.COPY_OBJECTS:
            assert world.closed
            return replace(world, objects=world.data)
        case Step.SWITCH:
            assert (world.database, world.objects) == (world.data, world.data), "what users did last is lost"
            return replace(world, embedded=False)
        case Step.SWITCH_BACK:
            assert world.closed
            return replace(world, embedded=True)
        case Step.TRY:
            return world
        case Step.OPEN:
            return replace(world, closed=False)


def run(world: World, until: int | None = None) -> World:
    """One run that is killed before its step number `until`, or ends."""
    todo = steps(world.record, embedded=world.embedded)
    world = replace(world, record=world.record or RECORD)
    for step in todo[:until]:
        world = do(world, step)
    return replace(world, record=None) if until is None else world


def undo(world: World) -> World:
    for step in steps_back(world.record, embedded=world.embedded, closed=world.closed):
        world = do(world, step)
    return replace(world, record=None) if world.record and not world.record.filling else world


def users_work(world: World) -> World:
    """Users change something wherever they are let in."""
    return replace(world, data=world.data + 1) if world.embedded and not world.closed else world


def moved(world: World) -> bool:
    return not world.embedded and not world.closed and world.record is None and world.database == world.data


def test_a_run_moves_everything() -> None:
    world = run(World())
    assert moved(world)
    assert steps(None, embedded=False) == ()


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("second", range(9))
def test_interrupted_twice_anywhere_and_run_again(first: int, second: int) -> None:
    world = users_work(run(users_work(World()), first))
    world = users_work(run(world, second))
    assert moved(run(world))


@pytest.mark.parametrize("first", range(7))
def test_undone_after_any_interruption_and_run_again(first: int) -> None:
    world = users_work(undo(run(World(), first)))
    assert (world.embedded, world.closed) == (True, False)
    assert moved(run(users_work(world)))


def test_undoing_after_the_switch_puts_the_configuration_back_before_anyone_is_let_in() -> None:
    assert steps_back(RECORD, embedded=False, closed=True) == (Step.SWITCH_BACK, Step.OPEN)
    assert steps_back(None, embedded=True, closed=True) == ()


def test_nothing_is_undone_once_users_work_on_the_moved_server() -> None:
    world = run(World(), 7)
    assert not world.closed
    assert steps_back(world.record, embedded=world.embedded, closed=world.closed) == ()
    assert moved(run(world))


def test_the_record_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    record_path().parent.mkdir(exist_ok=True)
    own = os.getuid()
    assert read_record(owner=own) is None
    # What others left at the place of the fresh file is not followed.
    (tmp_path / "server/.externalize.json.new").symlink_to(tmp_path / "elsewhere")
    write_record(RECORD)
    assert not (tmp_path / "elsewhere").exists()
    assert read_record(owner=own) == RECORD
    with pytest.raises(ValueError, match="not root's"):
        read_record(owner=own + 1)
    record_path().write_text('{"more": 1}')
    with pytest.raises(ValueError, match="more"):
        read_record(owner=own)
    forget_record()
    assert read_record(owner=own) is None


def test_the_door_says_why_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    door.door_path().parent.mkdir()
    assert door.closed() == ""
    door.close("it is being moved")
    door.close("it is still being moved")
    assert door.closed() == "it is still being moved"
    assert door.door_path().stat().st_mode & 0o777 == 0o640
    door.reopen()
    door.reopen()
    assert door.closed() == ""


@pytest.mark.parametrize(
    ("mysql", "bucket", "option"),
    [("localhost", "10.0.0.3:9000", "--mysql"), ("10.0.0.2", "127.0.0.1:9000", "--bucket")],
)
def test_an_end_that_only_this_host_finds_is_refused(mysql: str, bucket: str, option: str) -> None:
    ends = Ends.parse(
        f"mysql://wandb:pw@{mysql}/wandb_local",
        f"s3://KEY:SECRET@{bucket}/files",
        "s3://K:S@127.0.0.1:9000/local-files",
    )
    with pytest.raises(UsageError, match=f"^{option}: .* is this host itself"):
        ends.refuse_unseen()


def test_ends_that_the_container_finds(capsys: pytest.CaptureFixture[str]) -> None:
    # Amazon's bucket names no host.
    Ends.parse(
        "mysql://wandb:pw@10.0.0.2/wandb_local", "s3://wandb-files", "s3://K:S@127.0.0.1:9000/local-files"
    ).refuse_unseen()
    assert capsys.readouterr().out == ""
