"""The state file: facts outlive processes, and what is wrong with the file is said with the way out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wbagent.errors import StateError
from wbagent.state import SET_ASIDE, Fact, State


def test_facts_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with State(path) as state:
        state.put("a", {"b": [1, "ü"]}, 5.0)
        state.put("a", {"b": [2]}, 6.0)
    with State(path, read_only=True) as state:
        assert state.get("a") == Fact({"b": [2]}, 6.0)
        assert state.get("nothing") is None


def spoil(path: Path) -> None:
    """Overwrite the middle of the file: its header stays that of a database."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 3 * 4096)


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("state.db.damaged-*"))


@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_file_is_set_aside(tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "state.db"
    with State(path) as state:
        state.put("a", 1, 1.0)
    if whole:
        path.write_bytes(b"no database at all" * 1000)
    else:
        spoil(path)
    with pytest.raises(StateError, match="damaged"):
        State(path, read_only=True)
    with State(path) as state:
        assert state.get("a") is None
        state.put("a", 2, 2.0)
    with State(path) as state:
        assert state.get("a") == Fact(2, 2.0)
        known = state.get(SET_ASIDE)
    assert known
    assert [known.value["file"]] == [str(each) for each in aside(path)]
    assert len(aside(path)) == 1
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_damaged_while_it_is_open(tmp_path: Path) -> None:
    """The one who meets the damage sets it aside; the others, which have the old file open, follow."""
    path = tmp_path / "state.db"
    with State(path) as agent, State(path) as job, State(path) as another:
        for number in range(200):
            agent.put(f"fact {number}", "x" * 200, 1.0)
        spoil(path)
        with pytest.raises(StateError, match="begins anew"):
            job.rows("SELECT sum(length(value)) FROM fact")
        agent.put("a", 1, 1.0)
        assert job.get("a") == Fact(1, 1.0)
        with another.transaction():
            another.put("a", 2, 2.0)
        assert agent.get("a") == Fact(2, 2.0)
    assert len(aside(path)) == 1


def test_a_directory_that_was_away_for_a_while(tmp_path: Path) -> None:
    """What could not be opened again is tried again at each use, so that the agent need not be restarted."""
    (tmp_path / "wbagent").mkdir()
    with State(tmp_path / "wbagent" / "state.db") as state:
        state.put("a", 1, 1.0)
        (tmp_path / "wbagent").rename(tmp_path / "elsewhere")
        for _ in range(2):
            with pytest.raises(StateError, match="unable to open"):
                state.get("a")
            with pytest.raises(StateError, match="unable to open"), state.transaction():
                pass
        (tmp_path / "elsewhere").rename(tmp_path / "wbagent")
        assert state.get("a") == Fact(1, 1.0)
        with state.transaction():
            state.put("a", 2, 2.0)
        assert state.get("a") == Fact(2, 2.0)


def test_a_file_that_was_moved_away_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with State(path) as state:
        path.rename(tmp_path / "elsewhere")
        state.put("a", 1, 1.0)
        with State(path, read_only=True) as other:
            assert other.get("a") == Fact(1, 1.0)


def test_two_that_find_it_damaged_at_once_set_it_aside_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database at all" * 1000)

    def use(number: int) -> None:
        with State(path) as state:
            state.put(str(number), number, 1.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    with State(path) as state:
        assert len(state.rows("SELECT key FROM fact WHERE key != ?", (SET_ASIDE,))) == 8
    assert len(aside(path)) == 1


def test_no_file_yet(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no state file"):
        State(tmp_path / "state.db", read_only=True)


def put_and_fail(state: State) -> None:
    with state.transaction():
        state.put("a", 2, 2.0)
        raise LookupError


def test_a_transaction_that_fails_leaves_the_old_facts(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        state.put("a", 1, 1.0)
        with pytest.raises(LookupError):
            put_and_fail(state)
        assert state.get("a") == Fact(1, 1.0)
