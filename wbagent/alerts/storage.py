"""Queries and transactions on the state file whose failures are StateErrors: a full disk, a lock that never opens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from wbagent.errors import StateError
from wbagent.state import State


@contextmanager
def transaction(state: State) -> Iterator[sqlite3.Connection]:
    """All writes within become visible at once or not at all; raises StateError."""
    try:
        state.connection.execute("BEGIN IMMEDIATE")
        try:
            yield state.connection
            state.connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled back by itself already.
            if state.connection.in_transaction:
                state.connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise _unusable(state, error) from None


def rows(state: State, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """What a query gives; raises StateError."""
    try:
        return state.connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise _unusable(state, error) from None


def _unusable(state: State, error: sqlite3.Error) -> StateError:
    return StateError(
        f"the state file {state.path} cannot be used: {error}",
        hint=f"check that the disk is not full (df {state.path.parent}) and that user wbagent may write there",
    )
