"""The digest names every alert once, the worst on top, and stays short, whatever has waited."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.alerts.digest import FROM, NEWS_S, digest
from wbagent.alerts.message import Kind, Message
from wbagent.alerts.outbox import Waiting

messages = st.builds(
    Message,
    st.sampled_from([f"alert-{number}" for number in range(30)]),
    st.sampled_from([Kind.FIRING, Kind.RESOLVED, Kind.EVENT]),
    st.sampled_from(["critical", "warning", "info"]),
    st.text(min_size=1, max_size=300),
    st.text(),
    st.just("db1"),
    st.floats(1e9, 2e9),
)


def rows(found: list[Message]) -> list[Waiting]:
    return [Waiting(number, "d", "json://x", each, each.at, 1, 0.0, "") for number, each in enumerate(found)]


@given(st.lists(messages, max_size=60), st.sampled_from(["en", "ja"]))
def test_every_alert_once_and_never_long(found: list[Message], language: str) -> None:
    made = digest(rows(found), 2e9 + NEWS_S, language)
    assert (made is None) is (len(found) < FROM)
    if made is None:
        return
    assert str(len(found)) in made.title
    newest = {message.fingerprint: message for message in found}
    lines = made.what.split("\n")
    more = len(newest) - 15
    assert len([line for line in lines if line.startswith("[")]) >= min(15, len(newest))
    if more > 0:
        assert str(more) in lines[-1]
    assert len(made.body()) < 2500
    worst = min((m.kind is Kind.RESOLVED, ["critical", "warning", "info"].index(m.severity)) for m in newest.values())
    assert made.severity == ("info" if worst[0] else ["critical", "warning", "info"][worst[1]])


def test_what_is_all_news_is_told_whole() -> None:
    found = [Message(str(number), Kind.EVENT, "info", "t", "w", "db1", 1e9) for number in range(3 * FROM)]
    assert digest(rows(found), 1e9 + NEWS_S - 1, "en") is None
    assert digest(rows(found), 1e9 + NEWS_S, "en") is not None
