"""The agent's side of alerts: real history, real state file, and no trouble with either ends the agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from tests.testbed.switch import Switch
from wbagent import events
from wbagent.agent.duties import Duties
from wbagent.agent.telling import Teller
from wbagent.alerts import cpu, outbox
from wbagent.alerts.cpu import CpuWatch
from wbagent.alerts.history import spans
from wbagent.alerts.states import firing_titles
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.cpu import CpuTimes, busy_percent
from wbagent.monitor.samples import Samples
from wbagent.server import history
from wbagent.server.history import Reason, Record
from wbagent.server.pause import Pause, write
from wbagent.state import State

SETTINGS = Settings.model_validate(
    {"monitor": {"cpu": {"for_minutes": 1e-9}}, "alerts": {"to": ["json://alerts.example.com/"]}}
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "server").mkdir()
    with State() as opened:
        yield opened


def busy(teller: Teller, percent: float | None) -> None:
    teller.judge(SETTINGS, {cpu.KIND}, [cpu.condition(SETTINGS.monitor.cpu, percent)])


def titles(state: State) -> list[str]:
    return [row.message.title for row in outbox.waiting(state)]


def test_restarts_come_from_the_servers_history(state: State) -> None:
    teller = Teller(state)
    teller.judge_server(SETTINGS, "active")
    assert titles(state) == []
    history.append(Record(time.time(), Reason.READY, "ready after 3s", "one"))
    history.append(Record(time.time(), Reason.STOPPED, "systemctl stop", "one"))
    teller.judge_server(SETTINGS, "active")
    assert titles(state) == []
    history.append(Record(time.time(), Reason.OUT_OF_MEMORY, "the container was killed", "two", oom_killed=True))
    teller.judge_server(SETTINGS, "active")
    teller.judge_server(SETTINGS, "active")
    assert titles(state) == ["W&B server ended"]
    (row,) = outbox.waiting(state)
    assert row.message.what.endswith("out of memory; the container was killed")


def test_a_crash_loop_is_one_alert_with_the_reason_not_five(state: State) -> None:
    teller = Teller(state)
    for number in range(5):
        history.append(Record(time.time(), Reason.EXITED, "exited with status 3", str(number)))
        teller.judge_server(SETTINGS, "activating")
    # The first end is told at once: nobody can know then that it begins a loop.
    first, loop = outbox.waiting(state)
    assert first.message.title == "W&B server ended"
    assert loop.message.title.startswith("W&B server ended 5 times in ")
    assert "exited with status 3" in loop.message.what
    for number in range(20):
        history.append(Record(time.time(), Reason.EXITED, "exited with status 3", f"later {number}"))
        Teller(state).judge_server(SETTINGS, "activating")
    assert len(titles(state)) == 2
    assert firing_titles(teller.alerts()) == ("W&B server is in a crash loop",)


def test_ends_in_a_pause_make_no_crash_loop_after_it(state: State) -> None:
    teller = Teller(state)
    for number in range(9):
        history.append(Record(time.time(), Reason.EXITED, "in the pause", str(number)))
        teller.judge_server(SETTINGS, "activating", held=True)
    teller.judge_server(SETTINGS, "active")
    assert titles(state) == []


def test_a_pause_does_not_call_a_crash_loop_over(state: State) -> None:
    teller = Teller(state)
    for number in range(5):
        history.append(Record(time.time(), Reason.EXITED, "exited with status 3", str(number)))
    teller.judge_server(SETTINGS, "activating")
    teller.judge_server(SETTINGS, "active", held=True)
    teller.judge_server(SETTINGS, "active")
    assert firing_titles(teller.alerts()) == ("W&B server is in a crash loop",)


def test_what_ends_during_a_pause_is_not_told_later(state: State) -> None:
    teller = Teller(state)
    history.append(Record(time.time(), Reason.EXITED, "in the pause", "one"))
    teller.judge_server(SETTINGS, "active", held=True)
    teller.judge_server(SETTINGS, "active")
    assert titles(state) == []
    history.append(Record(time.time(), Reason.EXITED, "after it", "two"))
    teller.judge_server(SETTINGS, "active")
    (row,) = outbox.waiting(state)
    assert row.message.what.endswith("after it")


def test_readiness_lost_for_long_fires_once_and_resolves_once(state: State) -> None:
    teller = Teller(state)
    lost = Record(time.time(), Reason.UNREADY, "alive but not ready for 5min: /ready: 503", "one")
    history.append(Record(time.time(), Reason.READY, "ready after 3s", "one"))
    for record in (None, lost, None):
        if record:
            history.append(record)
        teller.judge_server(SETTINGS, "active")
    assert titles(state) == ["W&B server is alive but not ready"]
    assert firing_titles(teller.alerts()) == ("W&B server is alive but not ready",)
    (row,) = outbox.waiting(state)
    assert "503" in row.message.what
    history.append(Record(time.time(), Reason.READY_AGAIN, "ready again after 9min", "one"))
    for _ in range(2):
        teller.judge_server(SETTINGS, "active")
    assert titles(state)[1:] == ["W&B server is ready again, or has ended"]
    assert firing_titles(teller.alerts()) == ()


def test_a_pause_is_told_when_it_begins_and_when_it_is_over(state: State) -> None:
    assert not Teller(state).tell_pause()
    lasting = Pause("disk", "ops", Moment.now(), 3600)
    write(lasting)
    with structlog.testing.capture_logs() as logs:
        assert Teller(state).tell_pause()
        assert Teller(state).tell_pause()
        write(replace(lasting, resumed=True))
        assert not Teller(state).tell_pause()
    assert [entry["message_id"] for entry in logs] == [events.PAUSE_BEGAN, events.PAUSE_ENDED]


def test_a_sample_becomes_an_alert(state: State) -> None:
    teller = Teller(state)
    busy(teller, 90.0)
    busy(teller, None)
    busy(teller, 90.0)
    assert len(titles(state)) == 1
    assert len(firing_titles(teller.alerts())) == 1


def test_an_alert_ends_with_the_watch_that_raised_it(state: State) -> None:
    duties, watch = Duties(SETTINGS, state), CpuWatch()
    busy(Teller(state), 90.0)
    busy(Teller(state), 90.0)
    asyncio.run(duties.watch(watch))
    assert len(firing_titles(Teller(state).alerts())) == 1
    duties.settings = Settings.model_validate({"monitor": {"cpu": {"enabled": False}}, "alerts": SETTINGS.alerts})
    asyncio.run(duties.watch(watch))
    assert firing_titles(Teller(state).alerts()) == ()
    assert titles(state)[-1].startswith("no longer watched: CPU at 40 %")


def test_what_is_watched_is_stored(state: State) -> None:
    duties, watch = Duties(SETTINGS, state), CpuWatch()
    asyncio.run(duties.watch(watch))
    watch_until_a_sample(duties, watch)
    duties.store_samples()
    with Samples(state.path.with_name("samples.db"), read_only=True) as samples:
        assert ("wbagent_cpu_busy_ratio", ()) in samples.series()
        (bucket,) = samples.read("wbagent_cpu_busy_ratio", (), 0.0, 60)
    assert 0 <= bucket.least <= bucket.mean <= bucket.most <= 1


def watch_until_a_sample(duties: Duties, watch: CpuWatch) -> None:
    """The kernel counts in hundredths of a second: the processors are kept busy until they have counted."""
    before = CpuTimes.read()
    while busy_percent(before, CpuTimes.read()) is None:
        pass
    asyncio.run(duties.watch(watch))


def test_the_deliverer_is_started_when_something_is_due_and_not_without_pause(state: State) -> None:
    teller = Teller(state)
    assert not teller.delivery_due(SETTINGS, 100.0)
    busy(teller, 90.0)
    busy(teller, 90.0)
    now = time.time()
    assert teller.delivery_due(SETTINGS, now)
    assert not teller.delivery_due(SETTINGS, now + 10)
    assert teller.delivery_due(SETTINGS, now + 60)
    # A failed attempt is news, once its back-off is over.
    (row,) = outbox.waiting(state)
    again = outbox.failed(state, row, "refused", now + 61, 0.0)
    assert not teller.delivery_due(SETTINGS, again - 0.1)
    assert teller.delivery_due(SETTINGS, again)
    outbox.delivered(state, row)
    assert not teller.delivery_due(SETTINGS, again + 1000)


def test_a_broken_state_file_is_told_once_and_ends_nothing(state: State) -> None:
    state.connection.execute("DROP TABLE alert")
    state.connection.execute("DROP TABLE outbox")
    teller = Teller(state)
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            busy(teller, 90.0)
        assert firing_titles(teller.alerts()) == ()
    assert [line["log_level"] for line in logs] == ["error"]
    assert not teller.delivery_due(SETTINGS, 100.0)


def test_an_agent_that_is_blind_fails_its_ping_once_and_is_silent_then(state: State) -> None:
    with Switch() as switch:
        duties = Duties(
            Settings.model_validate({"alerts": {"ping_agent": switch.url("agent")}}),
            state,
        )
        asyncio.run(duties.ping())
        state.connection.execute("DROP TABLE alert")
        began = Moment.now()
        for seconds in (0, 10, 20):
            busy(duties.teller, 90.0)
            duties.teller.blindness.look(SETTINGS, replace(began, boottime=began.boottime + seconds))
        for _ in range(3):
            asyncio.run(duties.ping())
        assert [heard.path for heard in switch.heard] == ["/agent", "/agent/fail"]
        assert "no such table: alert" in switch.heard[-1].body


def test_what_another_version_stored_keeps_nobody_from_being_told(state: State) -> None:
    """As after the package was downgraded: its restart of the agent is what the error asks for."""
    teller = Teller(state)
    busy(teller, 90.0)
    busy(teller, 90.0)
    state.connection.execute('UPDATE alert SET state = \'{"phase": "acknowledged"}\'')
    state.connection.execute('UPDATE outbox SET message = \'{"kind": "escalated"}\'')
    with structlog.testing.capture_logs() as logs:
        Teller(state).begin()
    assert [line["event"].partition(" was stored")[0] for line in logs] == [
        'alert "cpu"',
        "a message to json://alerts.example.com",
    ]
    busy(teller, 90.0)
    busy(teller, 90.0)
    assert len(titles(state)) == 1
    assert [span.ended is None for span in spans(state)] == [False, True]
