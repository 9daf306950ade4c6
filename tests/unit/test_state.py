"""The state file: facts outlive processes, and what is wrong with the file is said with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from wbagent.errors import StateError
from wbagent.state import Fact, State


def test_facts_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with State(path) as state:
        state.put("a", {"b": [1, "ü"]}, 5.0)
        state.put("a", {"b": [2]}, 6.0)
    with State(path, read_only=True) as state:
        assert state.get("a") == Fact({"b": [2]}, 6.0)
        assert state.get("nothing") is None


def test_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database at all" * 100)
    for read_only in (False, True):
        with pytest.raises(StateError, match="damaged") as caught:
            State(path, read_only=read_only)
        assert f"mv {path} {path}.damaged" in caught.value.hint


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
