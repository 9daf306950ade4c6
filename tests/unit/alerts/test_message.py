"""Messages: complete, short, and the same after a round trip through the outbox."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from wbagent.alerts.message import Kind, Message

MESSAGE = Message(
    fingerprint="cpu",
    kind=Kind.FIRING,
    severity="warning",
    title="CPU 63 % busy for 5min",
    what="The processors are 63 % busy and have been at 40 % or more for 5min.",
    host="db1",
    at=1_000_000.0,
    why="the guide says so",
    remedy="add processors",
    look="systemd-cgtop",
)


def test_reads_as_a_person_needs_it() -> None:
    assert MESSAGE.subject() == "[warning] db1: CPU 63 % busy for 5min"
    assert MESSAGE.body() == (
        "The processors are 63 % busy and have been at 40 % or more for 5min.\n"
        "Why: the guide says so\n"
        "Do: add processors\n"
        "Look: systemd-cgtop"
    )


def test_empty_parts_take_no_line() -> None:
    resolved = replace(MESSAGE, kind=Kind.RESOLVED, why="", remedy="", look="")
    assert resolved.subject().startswith("[resolved] db1: ")
    assert "\n" not in resolved.body()


messages = st.builds(
    Message,
    st.text(),
    st.sampled_from(Kind),
    st.sampled_from(["critical", "warning", "info"]),
    st.text(),
    st.text(),
    st.text(),
    st.floats(0, 1e12),
    st.text(),
)


@given(messages)
def test_survives_json(message: Message) -> None:
    assert Message.from_json(json.loads(json.dumps(message.to_json()))) == message


@given(messages, st.text(min_size=400, max_size=2000))
def test_fits_a_phone(message: Message, long: str) -> None:
    long_one = replace(message, title=long, what=long, why=long, remedy=long, look=long)
    assert len(long_one.subject()) <= 100
    assert len(long_one.body()) <= 300 + 3 * (200 + 1)


def test_a_title_alone_is_a_message_too() -> None:
    """Apprise refuses an empty text, and what it refuses is tried for a week."""
    assert replace(MESSAGE, what="", why="", remedy="", look="").body() == MESSAGE.title


def test_a_field_that_a_newer_version_added_is_no_obstacle() -> None:
    assert Message.from_json(MESSAGE.to_json() | {"added_later": 1}) == MESSAGE
