"""The outbox: nothing is lost, nobody is told the end before the beginning, and nothing is retried without pause."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts.test_message import MESSAGE
from wbagent.alerts import outbox
from wbagent.alerts.destination import Destination, destinations
from wbagent.alerts.message import Kind, Message
from wbagent.errors import StateError
from wbagent.state import State

FIRST, SECOND = destinations(["json://first.example.com/", "json://user:secret@second.example.com/hook"])
BOTH = (FIRST, SECOND)
IDS = [FIRST.id, SECOND.id]
RESOLVED = replace(MESSAGE, kind=Kind.RESOLVED)
OTHER = replace(MESSAGE, fingerprint="disk", title="disk full")


def enqueue(state: State, message: Message, now: float, to: tuple[Destination, ...] = BOTH) -> None:
    with state.transaction():
        outbox.enqueue(state, message, to, now)


def due(state: State, now: float) -> list[tuple[str, Message]]:
    return [(row.destination, row.message) for row in outbox.due(state, IDS, now)]


def test_waits_once_for_each_destination(state: State) -> None:
    enqueue(state, MESSAGE, 100.0)
    assert due(state, 100.0) == [(FIRST.id, MESSAGE), (SECOND.id, MESSAGE)]
    outbox.delivered(state, outbox.waiting(state)[0])
    assert due(state, 100.0) == [(SECOND.id, MESSAGE)]


def test_stores_no_secret(state: State) -> None:
    enqueue(state, MESSAGE, 100.0)
    assert b"secret" not in state.path.read_bytes()


def test_a_failure_is_tried_again_later(state: State) -> None:
    enqueue(state, MESSAGE, 100.0, (FIRST,))
    again = outbox.failed(state, outbox.waiting(state)[0], "refused", 100.0, 0.5)
    assert due(state, again - 0.01) == []
    assert due(state, again) == [(FIRST.id, MESSAGE)]
    (row,) = outbox.waiting(state)
    assert (row.attempts, row.last_error) == (1, "refused")


def test_the_end_waits_for_the_beginning(state: State) -> None:
    enqueue(state, MESSAGE, 100.0, (FIRST,))
    enqueue(state, RESOLVED, 101.0, (FIRST,))
    enqueue(state, OTHER, 102.0, (FIRST,))
    firing = outbox.waiting(state)[0]
    again = outbox.failed(state, firing, "refused", 102.0, 0.5)
    assert due(state, 102.0) == [(FIRST.id, OTHER)]
    assert due(state, again) == [(FIRST.id, MESSAGE), (FIRST.id, RESOLVED), (FIRST.id, OTHER)]


def test_a_new_message_is_a_reason_to_try_at_once(state: State) -> None:
    enqueue(state, MESSAGE, 100.0, (FIRST,))
    outbox.failed(state, outbox.waiting(state)[0], "refused", 100.0, 0.5)
    enqueue(state, OTHER, 101.0, (FIRST,))
    assert due(state, 101.0) == [(FIRST.id, MESSAGE), (FIRST.id, OTHER)]


def test_a_repeat_takes_the_place_of_the_older_word(state: State) -> None:
    enqueue(state, MESSAGE, 100.0)
    outbox.delivered(state, outbox.waiting(state)[0])
    newer = replace(MESSAGE, title="CPU still busy")
    enqueue(state, newer, 200.0)
    assert due(state, 200.0) == [(FIRST.id, newer), (SECOND.id, newer)]
    ages = {row.destination: row.created_at for row in outbox.waiting(state)}
    assert ages == {FIRST.id: 200.0, SECOND.id: 100.0}


def test_a_new_period_takes_no_place(state: State) -> None:
    for message in (MESSAGE, RESOLVED, MESSAGE):
        enqueue(state, message, 100.0, (FIRST,))
    assert [message for _, message in due(state, 100.0)] == [MESSAGE, RESOLVED, MESSAGE]


def test_events_take_no_place(state: State) -> None:
    event = replace(MESSAGE, kind=Kind.EVENT)
    enqueue(state, event, 100.0, (FIRST,))
    enqueue(state, event, 101.0, (FIRST,))
    assert len(outbox.waiting(state)) == 2


def test_a_delivery_under_way_does_not_take_the_newer_word_along(state: State) -> None:
    enqueue(state, MESSAGE, 100.0, (FIRST,))
    under_way = outbox.waiting(state)[0]
    newer = replace(MESSAGE, title="CPU still busy")
    enqueue(state, newer, 200.0, (FIRST,))
    outbox.delivered(state, under_way)
    assert due(state, 200.0) == [(FIRST.id, newer)]


def test_a_destination_that_is_gone_is_not_due(state: State) -> None:
    enqueue(state, MESSAGE, 100.0)
    assert [row.destination for row in outbox.due(state, [SECOND.id], 100.0)] == [SECOND.id]


def test_given_up_after_a_week(state: State) -> None:
    enqueue(state, MESSAGE, 100.0)
    assert outbox.expire(state, [], 100.0 + outbox.KEPT_S) == ()
    assert len(outbox.expire(state, [], 101.0 + outbox.KEPT_S)) == 2
    assert outbox.waiting(state) == ()


def test_the_newest_word_is_tried_on(state: State) -> None:
    """Of a destination that is still wanted: what it hears when it answers again, and what shows that it does not."""
    enqueue(state, MESSAGE, 100.0)
    enqueue(state, OTHER, 100.0)
    for row in outbox.waiting(state) * 100:
        outbox.failed(state, row, "refused", 100.0, 0.5)
    gone = outbox.expire(state, [FIRST.id], 101.0 + outbox.KEPT_S)
    assert [(row.destination, row.message) for row in gone] == [
        (FIRST.id, MESSAGE),
        (SECOND.id, MESSAGE),
        (SECOND.id, OTHER),
    ]
    assert [(row.destination, row.message) for row in outbox.waiting(state)] == [(FIRST.id, OTHER)]


def test_what_was_hardly_tried_is_not_given_up(state: State) -> None:
    """A host that booted with a clock of 1970 and told of it before the network was up, or that was off for a week."""
    enqueue(state, MESSAGE, 100.0)
    enqueue(state, OTHER, 100.0)
    for row in outbox.waiting(state):
        outbox.failed(state, row, "no route to host", 100.0, 0.5)
    today = 1_800_000_000.0
    assert outbox.expire(state, IDS, today) == ()
    assert len(due(state, today)) == 4


def test_a_clock_that_was_set_back_keeps_nothing_waiting(state: State) -> None:
    enqueue(state, MESSAGE, 1e9, (FIRST,))
    outbox.failed(state, outbox.waiting(state)[0], "refused", 1e9, 0.5)
    assert due(state, 1e9 - 86_400) == [(FIRST.id, MESSAGE)]


@given(attempts=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_back_off_is_bounded(attempts: int, jitter: float) -> None:
    delay = outbox.retry_delay(attempts, jitter)
    assert 7.5 <= delay <= 900
    assert delay <= 15 * 2.0 ** min(attempts - 1, 20)


def test_nothing_of_a_transaction_that_failed_is_kept(state: State) -> None:
    def interrupted() -> None:
        with state.transaction():
            outbox.enqueue(state, MESSAGE, BOTH, 100.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert outbox.waiting(state) == ()


def test_a_full_disk_is_told_as_such(state: State) -> None:
    (pages,) = state.connection.execute("PRAGMA page_count").fetchone()
    state.connection.execute(f"PRAGMA max_page_count = {pages}")
    large = replace(OTHER, kind=Kind.EVENT, what="x" * 100_000)
    with pytest.raises(StateError, match="full") as raised:
        enqueue(state, large, 100.0)
    assert "df " in raised.value.hint
    assert not state.connection.in_transaction
