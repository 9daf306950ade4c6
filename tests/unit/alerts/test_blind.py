"""A state file that takes nothing: told once past the outbox, again after a while, and its end by the outbox."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from wbagent.alerts import outbox, past_outbox
from wbagent.alerts.blind import Blindness
from wbagent.alerts.destination import Destination
from wbagent.alerts.message import Message
from wbagent.config import Settings
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.state import State

SETTINGS = Settings.model_validate({"alerts": {"to": ["json://alerts.example.com/"], "repeat_every": "1h"}})


def at(seconds: float) -> Moment:
    return Moment(1_800_000_000 + seconds, seconds, "boot")


@contextmanager
def full(state: State) -> Iterator[None]:
    """SQLite's own word for a disk that is full: the file may not grow, and has no free page."""
    state.connection.execute("VACUUM")
    ((pages,),) = state.rows("PRAGMA page_count")
    state.rows(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        state.rows("PRAGMA max_page_count = 1000000")


def fail(state: State, blindness: Blindness) -> None:
    with pytest.raises(StateError, match="full") as caught:
        state.put("something", "x" * 100_000, 0.0)
    blindness.failed(caught.value)


def told(blindness: Blindness, *seconds: float) -> list[str]:
    found = [(second, blindness.look(SETTINGS, at(second))) for second in seconds]
    return [f"{second:g}: {message.title}" for second, message in found if message]


def test_a_full_disk_is_told_once_then_repeated_and_its_end_is_told(state: State) -> None:
    blindness = Blindness(state)
    with full(state):
        fail(state, blindness)
        assert told(blindness, 0, 10) == []
        assert blindness.why == ""
        # No alert comes up any more: that nothing can be kept is tried, not assumed.
        assert told(blindness, 20, 30, 40, 3600) == ["20: ALERTS ARE BLIND: wbagent cannot keep them"]
        assert "full" in blindness.why
        assert told(blindness, 3621, 3631) == ["3621: still: ALERTS ARE BLIND: wbagent cannot keep them"]
        assert outbox.waiting(state) == ()
    assert told(blindness, 3650, 3660, 3670, 3680, 3690, 3700) == []
    (row,) = outbox.waiting(state)
    assert row.message.title == "alerts are kept again"
    assert "For 1h 1min nobody was told" in row.message.what
    assert blindness.why == ""


def test_what_passes_is_not_told(state: State) -> None:
    blindness = Blindness(state)
    with full(state):
        fail(state, blindness)
        assert told(blindness, 0) == []
    assert told(blindness, *range(10, 200, 10)) == []
    assert outbox.waiting(state) == ()


def test_a_message_that_nobody_took_is_tried_again_but_not_at_each_look(state: State) -> None:
    blindness = Blindness(state)
    with full(state):
        fail(state, blindness)
        assert len(told(blindness, 0, 10, 20)) == 1
        blindness.sent(at(31), taken=False)
        assert told(blindness, 40, 50, 60, 70, 80, 90, 100) == ["100: ALERTS ARE BLIND: wbagent cannot keep them"]
        blindness.sent(at(101), taken=True)
        assert told(blindness, *range(110, 1000, 10)) == []


def test_the_message_says_why_and_what_to_do(state: State) -> None:
    blindness = Blindness(state)
    with full(state):
        fail(state, blindness)
        messages = [blindness.look(SETTINGS, at(second)) for second in (0, 10, 20)]
    message = messages[-1]
    assert message is not None
    assert message.severity == "critical"
    assert "database or disk is full" in message.what
    assert "check that the disk is not full" in message.remedy


@contextmanager
def service(status: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"json://127.0.0.1:{server.server_port}/", got
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "taken"), [(200, True), (503, False)])
def test_a_process_of_its_own_sends_it(state: State, status: int, *, taken: bool) -> None:
    blindness = Blindness(state)
    with full(state):
        fail(state, blindness)
        messages: list[Message] = [
            message for second in (0, 10, 20) if (message := blindness.look(SETTINGS, at(second)))
        ]
    with service(status) as (url, got):
        assert past_outbox.send(messages[0], [Destination.of(url)]) is taken
    assert "ALERTS ARE BLIND" in got[0]["title"]
