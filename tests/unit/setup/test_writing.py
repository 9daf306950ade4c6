"""A new configuration is there as a whole or not at all, whenever the writer is killed; what exists stays."""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from wbagent.config import load
from wbagent.setup.existing import ExistsError
from wbagent.setup.writing import Places, clear, finish, pending, write, write_apart

TEXT = '[server]\nhost = "https://wandb.example.com"\nimage = "wandb/local:0.83.0"\n'
CREDENTIALS = {
    "wbagent.alerts.to": b"json://localhost:1/",
    "wbagent.backup.destination": b"s3://K:S@store.example.com/backups",
    "wbagent.server.bucket": b"s3://K:S@store.example.com/files",
    "wbagent.server.mysql": b"mysql://u:p@db.example.com/wandb_local",
}
BEFORE = "# as installed\n#[server]\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A host as the package leaves it."""
    configuration = tmp_path / "wbagent.toml"
    configuration.write_text(BEFORE)
    configuration.chmod(0o640)
    store = tmp_path / "credstore"
    store.mkdir(mode=0o700)
    return Places(configuration, (tmp_path / "credstore.encrypted", store))


def files(places: Places) -> dict[str, bytes]:
    """All that there is."""
    top = places.configuration.parent
    return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def written(places: Places) -> dict[str, bytes]:
    return {"wbagent.toml": TEXT.encode()} | {f"credstore/{name}": each for name, each in CREDENTIALS.items()}


def test_everything_is_in_its_place_for_nobody_else_to_read(places: Places) -> None:
    write(places, TEXT, CREDENTIALS, places.stores[1])
    assert files(places) == written(places)
    for name in CREDENTIALS:
        assert stat.S_IMODE((places.stores[1] / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(places.configuration.stat().st_mode) == 0o640
    assert load(places.configuration, places.stores[1]).settings.server


def killed_at(places: Places, number: int) -> bool:
    """Write in a process that is killed at its so many-th touch of a file; whether it was."""
    child = os.fork()
    if child == 0:
        left = number

        def count(event: str, _arguments: object) -> None:
            nonlocal left
            if event in {
                "open",
                "os.rename",
                "os.remove",
                "os.mkdir",
                "os.chown",
                "os.chmod",
                "os.fwalk",
                "os.listdir",
            }:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        status = 1
        try:
            write(places, TEXT, CREDENTIALS, places.stores[1])
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_at_any_moment_it_leaves_a_configuration_and_the_next_run_goes_on(places: Places) -> None:
    number, completed = 0, 0
    while killed_at(places, number):
        left = files(places)
        # What the units would read now.
        settings = load(places.configuration, places.stores[1]).settings
        assert settings.server is None or left == written(places)
        if pending(places):
            finish(places)
            assert files(places) == written(places)
            completed += 1
        elif left == written(places):
            assert settings.server
        else:
            assert left["wbagent.toml"] == BEFORE.encode()
            assert [name for name in left if name.startswith("credstore/wbagent.")] == []
            clear(places)
            assert files(places) == {"wbagent.toml": BEFORE.encode()}
        for name in CREDENTIALS:
            (places.stores[1] / name).unlink(missing_ok=True)
        places.configuration.write_text(BEFORE)
        number += 1
    assert completed >= len(CREDENTIALS) + 1
    assert number > 3 * len(CREDENTIALS)
    assert files(places) == written(places)


def test_a_run_that_fails_leaves_nothing(places: Places) -> None:
    (places.stores[1] / ".wbagent-init.wbagent.server.mysql").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(places, TEXT, CREDENTIALS, places.stores[1])
    assert files(places) == {"wbagent.toml": BEFORE.encode()}


def test_a_credential_that_came_meanwhile_is_not_replaced(places: Places) -> None:
    mine = places.stores[1] / "wbagent.server.mysql"
    mine.write_text("mine")
    with pytest.raises(ExistsError, match=r"wbagent\.server\.mysql has come"):
        write(places, TEXT, CREDENTIALS, places.stores[1])
    assert mine.read_text() == "mine"
    assert places.configuration.read_text() == BEFORE


def test_ctrl_c_waits_until_all_is_written(places: Places) -> None:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.addaudithook(lambda event, _: os.kill(os.getpid(), signal.SIGINT) if event == "os.rename" else None)
        write(places, TEXT, CREDENTIALS, places.stores[1])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGINT
    assert files(places) == written(places)


def test_a_file_of_its_own_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    write_apart(path, TEXT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ExistsError, match=r"new\.toml exists"):
        write_apart(path, "other")
    assert [each.name for each in tmp_path.iterdir()] == ["new.toml"]
    assert path.read_text() == TEXT
