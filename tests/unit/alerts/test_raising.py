"""From samples to messages through a real state file: told once, over restarts of the agent and failures to store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wbagent.alerts import cpu, outbox, raising, states
from wbagent.alerts.destination import configured
from wbagent.alerts.message import Kind, Message
from wbagent.alerts.restarts import tell_restarts
from wbagent.alerts.throttle import Event
from wbagent.config import Settings
from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.rules import INACTIVE, Phase
from wbagent.state import State


def settings(**cpu_settings: Any) -> Settings:
    return Settings.model_validate(
        {"monitor": {"cpu": cpu_settings}, "alerts": {"to": ["json://one.example.com/", "json://two.example.com/"]}}
    )


def at(seconds: float) -> Moment:
    return Moment(1_000_000.0 + seconds, seconds, "boot")


def titles(state: State) -> list[tuple[str, str]]:
    return [(row.label, row.message.title) for row in outbox.waiting(state)]


def test_told_to_each_destination_once_and_resolved(state: State) -> None:
    told = [cpu.judge(state, settings(), 63.0, at(10.0 * number)) for number in range(40)]
    assert [number for number, message in enumerate(told) if message] == [30]
    assert titles(state) == [
        ("json://one.example.com", "CPU 63 % busy for 5min"),
        ("json://two.example.com", "CPU 63 % busy for 5min"),
    ]
    assert states.firing_titles(state) == ("CPU at 40 % or more for 5min",)
    resolved = cpu.judge(state, settings(), 12.0, at(400.0))
    assert resolved is not None
    assert resolved.kind is Kind.RESOLVED
    assert resolved.what == "The processors are 12 % busy, below 40 %; they were over it for 6min 40s."
    assert states.stored(state) == ()


def test_the_message_says_what_why_and_what_to_do(state: State) -> None:
    message = cpu.judge(state, settings(for_minutes=0.001), 63.0, at(0.0))
    assert message is None
    message = cpu.judge(state, settings(for_minutes=0.001), 63.0, at(0.06))
    assert message is not None
    assert "40 % or more" in message.what
    assert "W&B's guide" in message.why
    assert message.remedy
    assert message.look


def test_the_state_outlives_the_agent(tmp_path: Path) -> None:
    """A new process for every sample, as far as memory goes."""
    told = []
    for number in range(32):
        with State(tmp_path / "state.db") as state:
            told.append(cpu.judge(state, settings(), 63.0, at(10.0 * number)))
    assert [number for number, message in enumerate(told) if message] == [30]


def test_no_sample_changes_nothing(state: State) -> None:
    for number in range(31):
        cpu.judge(state, settings(), 63.0, at(10.0 * number))
    before = states.stored(state)
    for number in range(31, 2000):
        assert cpu.judge(state, settings(), None, at(10.0 * number)) is None
    assert states.stored(state) == before


def test_what_cannot_be_stored_is_decided_anew(state: State) -> None:
    """A failure between the new state and its message leaves neither; the next sample tells it, once."""
    rule = cpu.rule(settings(for_minutes=0.001))

    def broken(*_: object) -> Message:
        raise RuntimeError

    def work(*_: object) -> Message:
        return Message("cpu", Kind.FIRING, "warning", "CPU", "busy", "host", 0.0)

    to = configured(settings().alerts)
    raising.judge(state, rule, 63.0, at(0.0), work, to)
    with pytest.raises(RuntimeError):
        raising.judge(state, rule, 63.0, at(0.06), broken, to)
    assert states.load(state, "cpu").phase is Phase.PENDING
    assert outbox.waiting(state) == ()
    assert raising.judge(state, rule, 63.0, at(0.06), work, to) is not None
    assert raising.judge(state, rule, 63.0, at(0.07), work, to) is None
    assert len(outbox.waiting(state)) == 2


def test_switched_off_while_firing(state: State) -> None:
    for number in range(31):
        cpu.judge(state, settings(), 63.0, at(10.0 * number))
    off = settings(enabled=False)
    message = cpu.judge(state, off, None, at(400.0))
    assert message is not None
    assert message.kind is Kind.RESOLVED
    assert "switched off" in message.what
    assert states.stored(state) == ()
    assert cpu.judge(state, off, None, at(410.0)) is None


def test_without_destinations_nothing_waits(state: State) -> None:
    nobody = Settings.model_validate({"monitor": {"cpu": {"for_minutes": 0.001}}})
    cpu.judge(state, nobody, 63.0, at(0.0))
    assert cpu.judge(state, nobody, 63.0, at(0.06)) is not None
    assert outbox.waiting(state) == ()
    assert states.firing_titles(state)


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
    assert tell_restarts(state, settings(), [], at(0)) is None
    first = tell_restarts(state, settings(), crashes[:1], at(1))
    assert first is not None
    assert first.title == "W&B server ended"
    assert "exit status 1" in first.what
    for number in range(2, 10):
        assert tell_restarts(state, settings(), crashes[:number], at(60 * (number - 1) + 1)) is None
    summary = tell_restarts(state, settings(), crashes[:11], at(601))
    assert summary is not None
    assert summary.title == "W&B server ended 10 times in 9min 1s"
    assert summary.severity == "critical"
    assert len(outbox.waiting(state)) == 4
