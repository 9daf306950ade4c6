"""From samples to messages through a real state file: told once, over restarts of the agent and failures to store."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from wbagent import events
from wbagent.alerts import cpu, history, outbox, server, silences, states
from wbagent.alerts.condition import Condition
from wbagent.alerts.judging import judge
from wbagent.alerts.message import Kind, Message
from wbagent.alerts.restarts import tell_restarts
from wbagent.alerts.throttle import Event
from wbagent.config import Settings
from wbagent.config.model import AlertSettings
from wbagent.config.monitor import CpuSettings
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, Phase
from wbagent.state import State
from wbagent.systemd import journal

SETTINGS = Settings.model_validate({"alerts": {"to": ["json://one.example.com/", "json://two.example.com/"]}})
ALERTS = SETTINGS.alerts


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


def look(
    state: State, busy: float | None, seconds: float, alerts: AlertSettings = ALERTS, **changes: Any
) -> tuple[Message, ...]:
    """One look at the processors."""
    found = cpu.condition(CpuSettings(**changes), busy)
    return judge(state, alerts, {cpu.KIND}, [found] if changes.get("enabled", True) else [], at(seconds))


def titles(state: State) -> list[tuple[str, str]]:
    return [(row.label, row.message.title) for row in outbox.waiting(state)]


def test_told_to_each_destination_once_and_resolved(state: State) -> None:
    told = [look(state, 63.0, 10.0 * number) for number in range(40)]
    assert [number for number, messages in enumerate(told) if messages] == [30]
    assert titles(state) == [
        ("json://one.example.com", "CPU 63 % busy for 5min"),
        ("json://two.example.com", "CPU 63 % busy for 5min"),
    ]
    assert states.firing_titles(states.stored(state)) == ("CPU at 40 % or more for 5min",)
    over = [look(state, 12.0, 400.0 + 10 * number) for number in range(20)]
    assert [number for number, messages in enumerate(over) if messages] == [12]
    (resolved,) = over[12]
    assert resolved.kind is Kind.RESOLVED
    assert resolved.what == "The processors are 12 % busy, below 40 %; the alert lasted 8min 40s."
    assert states.stored(state) == ()
    assert [(span.fingerprint, span.began, span.ended) for span in history.spans(state)] == [
        ("cpu", at(300.0).wall, at(520.0).wall)
    ]


def test_the_message_says_what_why_since_when_and_what_to_do(state: State) -> None:
    assert look(state, 63.0, 0.0, for_minutes=0.001) == ()
    (message,) = look(state, 63.0, 0.06, for_minutes=0.001)
    assert "40 % or more" in message.what
    assert "W&B's guide" in message.why
    assert message.remedy
    assert message.look
    assert message.since == at(0.0).wall
    assert "\nSince: 1970-01-12 " in message.body()


def test_in_japanese(state: State) -> None:
    japanese = ALERTS.model_copy(update={"language": "ja"})
    look(state, 63.0, 0.0, japanese, for_minutes=0.001)
    (message,) = look(state, 63.0, 0.06, japanese, for_minutes=0.001)
    assert message.subject().startswith("[警告] ")
    assert message.title == "CPU 使用率 63 %、0.06s 継続"
    assert "\n対処: 何が使っているか" in message.body()


def test_the_state_outlives_the_agent(tmp_path: Path) -> None:
    """A new process for every sample, as far as memory goes."""
    told = []
    for number in range(32):
        with State(tmp_path / "state.db") as state:
            told.append(look(state, 63.0, 10.0 * number))
    assert [number for number, messages in enumerate(told) if messages] == [30]


def test_no_sample_keeps_it_firing_and_is_told_as_such(state: State) -> None:
    for number in range(31):
        look(state, 63.0, 10.0 * number)
    told = [look(state, None, 310.0 + 10 * number) for number in range(200)]
    assert [number for number, messages in enumerate(told) if messages] == [90]
    assert told[90][0].title == "not watched: CPU at 40 % or more for 5min"
    assert states.load(state, "cpu").phase is Phase.FIRING
    assert states.load(state, "cpu").no_data_since == at(310.0)
    (again,) = look(state, 63.0, 2310.0)
    assert again.title == "watched again: CPU at 40 % or more for 5min"
    assert [alert.fingerprint for alert in states.stored(state)] == ["cpu"]


def test_that_the_first_figure_is_not_there_yet_is_nothing_to_see(state: State) -> None:
    def seen(seconds: float) -> list[str]:
        found = [each for each in states.stored(state) if not states.awaits_first_figure(each, at(seconds))]
        return [each.fingerprint for each in found]

    look(state, None, 0.0)
    assert (seen(0.0), seen(89.0), seen(90.0)) == ([], [], ["cpu", "no-data:cpu"])
    look(state, 63.0, 10.0)
    look(state, None, 20.0)
    assert seen(20.0) == ["cpu"], "what was pending is seen, with or without a figure now"


def test_what_cannot_be_stored_is_decided_anew(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure between the new state and its message leaves neither; the next look tells it, once."""
    look(state, 63.0, 0.0, for_minutes=0.001)
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "enqueue", None)
        with pytest.raises(TypeError):
            look(state, 63.0, 0.06, for_minutes=0.001)
    assert states.load(state, "cpu").phase is Phase.PENDING
    assert history.spans(state) == ()
    assert outbox.waiting(state) == ()
    assert len(look(state, 63.0, 0.06, for_minutes=0.001)) == 1
    assert look(state, 63.0, 0.07, for_minutes=0.001) == ()
    assert len(outbox.waiting(state)) == 2


def test_switched_off_while_firing(state: State) -> None:
    for number in range(31):
        look(state, 63.0, 10.0 * number)
    (message,) = look(state, None, 400.0, enabled=False)
    assert message.kind is Kind.RESOLVED
    assert message.title == "no longer watched: CPU at 40 % or more for 5min"
    assert states.stored(state) == ()
    assert look(state, None, 410.0, enabled=False) == ()


def test_without_destinations_nothing_waits(state: State) -> None:
    look(state, 63.0, 0.0, AlertSettings(), for_minutes=0.001)
    assert look(state, 63.0, 0.06, AlertSettings(), for_minutes=0.001)
    assert outbox.waiting(state) == ()
    assert states.firing_titles(states.stored(state))


def test_what_follows_from_another_alert_is_told_when_that_is_over_and_it_is_not(state: State) -> None:
    """The database goes away and so the server is not ready: one message, and later what is left of it."""

    def looks(second: float, *, away: bool, unready: bool) -> list[str]:
        cause = Condition("database-away", float(away), about="x", for_seconds=60.0, every=30.0, facts=AWAY)
        effect = Condition("server-unready", float(unready), because_of=("database-away:x",), facts={"reason": "503"})
        return [message.title for message in judge(state, ALERTS, (), [cause, effect], at(second))]

    assert looks(0, away=True, unready=False) == []
    assert looks(30, away=True, unready=True) == []
    assert looks(60, away=True, unready=True) == ["MySQL does not answer"]
    assert states.firing_titles(states.stored(state)) == ("MySQL does not answer",)
    assert looks(90, away=False, unready=True) == ["MySQL answers again", "W&B server is alive but not ready"]
    assert looks(120, away=False, unready=False) == ["W&B server is ready again, or has ended"]
    assert looks(150, away=True, unready=True) == []
    assert looks(180, away=False, unready=False) == []


def test_what_needs_no_time_to_begin_gets_some_to_end_when_its_cause_is_over(state: State) -> None:
    """MySQL is seen to answer before the server is seen to be ready again."""

    def looks(second: float, *, away: bool, unready: bool) -> list[str]:
        cause = Condition("database-away", float(away), for_seconds=20.0, every=10.0, facts=AWAY)
        effect = server.conditions(SETTINGS, "active", "", "/ready: 503" if unready else "")
        return [message.title for message in judge(state, ALERTS, (), [cause, *effect], at(second))]

    for begun in (0, 1000):
        assert looks(begun, away=True, unready=True) == []
        assert looks(begun + 20, away=True, unready=True) == ["MySQL does not answer"]
        for second in (30, 40, 60, 80):
            assert looks(begun + second, away=False, unready=True) == ["MySQL answers again"][: second == 30]
        # In time the first time, not so the second.
        told = looks(begun + 90, away=False, unready=begun == 1000)
        assert told == (["W&B server is alive but not ready"] if begun else [])
    assert looks(1100, away=False, unready=False) == ["W&B server is ready again, or has ended"]
    assert looks(1110, away=False, unready=True) == ["W&B server is alive but not ready"], "it has no cause but itself"


AWAY = {"reason": "refused", "hint": "start it", "address": "db1:3306"}


def test_a_silence_holds_what_begins_and_ends_by_itself(state: State) -> None:
    begun = silences.begin(state, "cp*", 600.0, "root", "load test", at(0))
    for number in range(60):
        assert look(state, 63.0, 10.0 * number) == ()
    assert states.stored(state)[0].held_by == f"silence {begun.id}"
    assert states.firing_titles(states.stored(state)) == ()
    (message,) = look(state, 63.0, 600.0)
    assert message.title == "CPU 63 % busy for 10min"
    assert silences.active(state, at(600)) == ()


def test_what_a_person_silenced_is_counted_and_what_follows_from_a_cause_is_not(state: State) -> None:
    silences.begin(state, "cp*", 600.0, "root", "load test", at(0))
    facts = {"reason": "", "hint": "", "address": "", "host": "h"}
    cause = Condition("database-away", 1.0, facts=facts)
    effect = Condition("server-unready", 1.0, because_of=("database-away",), facts=facts)
    for second in (1, 2):
        judge(state, ALERTS, (), [cpu.condition(CpuSettings(for_minutes=1e-9), 90.0), cause, effect], at(second))
    assert states.firing_titles(states.stored(state)) == ("MySQL does not answer",)
    (title,) = states.silenced_titles(states.stored(state))
    assert title.startswith("CPU at 40 % or more")


def test_silences_are_numbered_and_ended(state: State) -> None:
    one, two = (silences.begin(state, name, 600.0, "root", "x", at(0)) for name in ("cpu", "disk-*"))
    assert (one.id, two.id) == (1, 2)
    assert silences.end(state, 1, at(1)) == one
    assert silences.end(state, 1, at(2)) is None
    assert silences.active(state, at(3)) == (two,)
    assert two.covers("disk-space:/var")
    assert two.covers("no-data:disk-space:/var")
    assert not two.covers("cpu")
    rebooted = Moment(at(0).wall - 5.0, 1.0, "another boot")
    assert two.left(rebooted) == 0.0, "a clock set back across a reboot: nobody knows how long it has lasted"


def test_a_state_that_another_version_wrote_is_told_as_such(state: State) -> None:
    state.connection.execute("INSERT INTO alert VALUES ('cpu', '{\"phase\": \"later\"}')")
    with pytest.raises(StateError, match="cpu"):
        states.stored(state)


def test_unknown_alerts_are_inactive(state: State) -> None:
    assert states.load(state, "cpu") == INACTIVE


@pytest.fixture
def crashes() -> list[Event]:
    return [Event(f"e{number}", 1_000_000.0 + 60 * number, "exit status 1") for number in range(12)]


def test_restarts_of_the_server(state: State, crashes: list[Event]) -> None:
    assert tell_restarts(state, SETTINGS, [], at(0)) is None
    first = tell_restarts(state, SETTINGS, crashes[:1], at(1))
    assert first is not None
    assert first.title == "W&B server ended"
    assert "exit status 1" in first.what
    for number in range(2, 10):
        assert tell_restarts(state, SETTINGS, crashes[:number], at(60 * (number - 1) + 1)) is None
    summary = tell_restarts(state, SETTINGS, crashes[:11], at(601))
    assert summary is not None
    assert summary.title == "W&B server ended 10 times in 9min 1s"
    assert summary.severity == "critical"
    assert len(outbox.waiting(state)) == 4


# --- what is written to the journal ---


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What goes to journald, entry by entry."""
    entries: list[Mapping[str, Any]] = []
    monkeypatch.setattr(journal, "send", lambda _text, **entry: entries.append(entry))
    return entries


def told_in(entries: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["transition"], entry["message_id"]) for entry in entries if "transition" in entry]


def test_the_beginning_has_the_id_of_its_kind_what_follows_the_common_ones(
    state: State, written: list[Mapping[str, Any]]
) -> None:
    often = ALERTS.model_copy(update={"repeat_every": 60.0})
    for number in range(38):
        look(state, 63.0, 10.0 * number, often)
    for number in range(20):
        look(state, 12.0, 380.0 + 10 * number, often)
    assert told_in(written) == [
        ("firing", events.ALERTS["cpu"]),
        ("repeated", events.ALERT_FIRING),
        ("resolved", events.ALERT_RESOLVED),
    ]


def test_the_fields_have_the_figure_and_its_limit(state: State, written: list[Mapping[str, Any]]) -> None:
    found = cpu.unit_condition(CpuSettings(), "burner.slice", 7.5, 12.3456789)
    for number in range(31):
        judge(state, ALERTS, {cpu.UNIT_KIND}, [found], at(10.0 * number))
    (entry,) = [entry for entry in written if "transition" in entry]
    wanted = {
        "alert": "cpu-unit:burner.slice",
        "alert_kind": "cpu-unit",
        "about": "burner.slice",
        "severity": "warning",
    }
    wanted |= {"value": "12.3457", "threshold": "7.5", "measured_in": "percent", "host": socket.gethostname()}
    assert {name: entry[name] for name in wanted} == wanted
    assert datetime.fromisoformat(entry["since"]).timestamp() == int(at(0.0).wall)


def test_what_is_so_or_not_has_no_figure(state: State, written: list[Mapping[str, Any]]) -> None:
    judge(state, ALERTS, {"binlog-gap"}, [Condition("binlog-gap", 1.0, facts={"gap": "", "backup": ""})], at(0.0))
    (entry,) = [entry for entry in written if "transition" in entry]
    assert {"value", "threshold", "measured_in"} & set(entry) == set()
    assert entry["about"] is None


def test_what_is_no_longer_watched_is_over_under_its_kind(state: State, written: list[Mapping[str, Any]]) -> None:
    found = cpu.unit_condition(CpuSettings(), "burner.slice", 7.5, 12.0)
    for number in range(31):
        judge(state, ALERTS, {cpu.UNIT_KIND}, [found], at(10.0 * number))
    judge(state, ALERTS, {cpu.UNIT_KIND}, [], at(310.0))
    assert told_in(written)[1:] == [("withdrawn", events.ALERT_RESOLVED)]
    assert (written[-1]["alert_kind"], written[-1]["about"]) == ("cpu-unit", "burner.slice")


def test_another_language_counts_from_the_next_look_on(state: State) -> None:
    """Also for what fires already: in lists, when it is repeated, and when it is over or not watched any more."""
    for number in range(31):
        look(state, 63.0, 10.0 * number)
    assert states.firing_titles(states.stored(state)) == ("CPU at 40 % or more for 5min",)
    japanese = ALERTS.model_copy(update={"language": "ja", "repeat_every": 60.0})
    look(state, 63.0, 310.0, japanese)
    assert states.firing_titles(states.stored(state)) == ("CPU 使用率 40 % 以上が 5min 続いている",)
    (repeated,) = look(state, 63.0, 370.0, japanese)
    assert repeated.title.startswith("継続中: CPU 使用率 63 %")
    (withdrawn,) = judge(state, japanese, {cpu.KIND}, [], at(380.0))
    assert withdrawn.title == "監視を終了: CPU 使用率 40 % 以上が 5min 続いている"
