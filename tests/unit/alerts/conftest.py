"""A state file of its own for each test, and messages to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wbagent.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened
