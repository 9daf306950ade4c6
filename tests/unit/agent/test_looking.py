"""Looks that last, or see nothing: a reload finds one under way, the agent's end waits for none, no alert is over."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from wbagent.agent.aside import aside
from wbagent.agent.duties import Duties
from wbagent.agent.loop import Agent
from wbagent.alerts import certificate, mysql_load, outbox, states
from wbagent.alerts.mysql_load import MysqlWatch
from wbagent.alerts.outside import OUTSIDE, OutsideWatch, Serving
from wbagent.alerts.watch import Seen
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.mysql_load import Load
from wbagent.monitor.outside import Certificate, Doubt
from wbagent.monitor.reach import Reach
from wbagent.monitor.rules import Phase
from wbagent.monitor.sample import Sample
from wbagent.state import AGENT_CONFIG, State


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    with State() as opened:
        yield opened


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Where connections are taken and nothing is said."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        yield listening


def settings(listening: socket.socket, *, enabled: bool = True) -> Settings:
    host = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = {"host": host, "image": "wandb/local:0.83.0", "embedded": True}
    monitor = {"outside": {"enabled": enabled, "timeout": 20.0}, "certificate": {"enabled": enabled}}
    return Settings.model_validate({"server": server, "monitor": monitor})


def after_a_reload(state: State, silent: socket.socket, *, enabled: bool) -> tuple[list[bool], int]:
    """A look is under way when the configuration is read again, and fails in the end.

    Whether there was something to tell, by the look after the reload and by that one; the connections that came.
    """

    async def look_twice() -> tuple[list[bool], int]:
        duties, watch = Duties(settings(silent), state), OutsideWatch(lambda: Serving.YES)
        looking = asyncio.create_task(duties.watch(watch))
        guest, _ = await asyncio.get_running_loop().sock_accept(silent)
        duties.settings = settings(silent, enabled=enabled)
        tell = [await duties.watch(watch)]
        guest.close()
        return [*tell, await looking], 1 + more_guests(silent)

    return asyncio.run(look_twice())


def more_guests(listening: socket.socket) -> int:
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return 0
    return 1


def test_a_watch_that_is_switched_off_while_it_looks(state: State, silent: socket.socket) -> None:
    """What the look under way finds in the end would be pending for good: nobody looks there any more."""
    assert after_a_reload(state, silent, enabled=False) == ([False, False], 1)
    assert states.stored(state) == ()


def test_a_reload_begins_no_second_look(state: State, silent: socket.socket) -> None:
    assert after_a_reload(state, silent, enabled=True) == ([False, False], 1)
    assert states.load(state, "outside").phase is Phase.PENDING


def test_the_end_does_not_wait_for_what_hangs(silent: socket.socket) -> None:
    """As the agent's does in asyncio.run(): systemd gives it twenty seconds."""
    guest = socket.create_connection(silent.getsockname())

    async def agent() -> None:
        begun = asyncio.Event()

        def hang(loop: asyncio.AbstractEventLoop) -> bytes:
            loop.call_soon_threadsafe(begun.set)
            return guest.recv(1)

        hanging = asyncio.create_task(aside(hang, asyncio.get_running_loop()))
        await begun.wait()
        hanging.cancel()

    began = time.monotonic()
    try:
        asyncio.run(agent())
        assert time.monotonic() - began < 5
    finally:
        guest.shutdown(socket.SHUT_RDWR)
        guest.close()


def test_what_is_raised_aside_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(aside(divmod, 1, 0))
    assert asyncio.run(aside(divmod, 7, 2)) == (3, 1)


def test_what_changes_during_a_round_is_not_slept_over(state: State, tmp_path: Path) -> None:
    """As when the bus tells of a unit after the round has read it."""
    (tmp_path / "wbagent.toml").touch(0o600)

    async def rest_after_a_change() -> float:
        agent = Agent(tmp_path / "wbagent.toml", state)
        agent._wake.set()
        began = time.monotonic()
        await agent._rest(20.0)
        return time.monotonic() - began

    assert asyncio.run(rest_after_a_change()) < 5


def test_a_database_that_does_not_answer_ends_no_alert_about_it(state: State) -> None:
    """Else each restart of MySQL would tell that what fires is over, and at the next look that it fires."""
    wanted = Settings.model_validate({"database": {"url": "mysql://u:p@127.0.0.1:1/wandb_local"}})
    duties, watch = Duties(wanted, state), MysqlWatch(Reach())
    load = Load(Moment.now(), connections=1, most_connections=100, uptime_s=9e4, oldest_s=8e4, oldest_id=7)
    assert duties.teller.judge(wanted, watch.kinds, mysql_load.conditions(wanted.monitor.mysql, load, None, None))
    fires = states.load(state, mysql_load.TRANSACTION)
    assert fires.told
    assert not asyncio.run(duties.watch(watch))
    assert states.load(state, mysql_load.TRANSACTION) == fires
    assert not duties.teller.judge(wanted, watch.kinds, mysql_load.conditions(wanted.monitor.mysql, load, None, None))


def test_authorities_that_are_gone_end_no_alert_about_the_certificate(state: State, tmp_path: Path) -> None:
    server = {"host": "https://127.0.0.1:1", "image": "wandb/local:0.83.0", "embedded": True}
    wanted = Settings.model_validate({"server": server})
    gone = wanted.monitor.certificate.model_copy(update={"authorities": (tmp_path / "gone.pem",)})
    wanted = wanted.model_copy(update={"monitor": wanted.monitor.model_copy(update={"certificate": gone})})
    duties, watch = Duties(wanted, state), OutsideWatch(lambda: Serving.YES)
    expired = Certificate(None, Doubt.EXPIRED, "certificate has expired")
    assert duties.teller.judge(wanted, watch.kinds, certificate.conditions(wanted, expired, time.time(), OUTSIDE))
    assert not asyncio.run(duties.watch(watch))
    assert states.load(state, certificate.EXPIRY).fires


class Divides:
    """A watch whose look divides, until it is told by what else than zero."""

    kinds = frozenset({"cpu", "cpu-unit"})
    by = 0

    def every(self, _settings: Settings) -> float:
        return 60.0

    def look(self, _settings: Settings, _now: Moment) -> Seen:
        return Seen((), (Sample("wbagent_cpu_busy_ratio", 1 / self.by),))


def test_a_look_that_ends_in_an_error_that_nobody_foresaw_is_told_and_its_end_too(state: State) -> None:
    """It was a traceback in the journal, and nobody heard that nobody looks."""
    told = Settings.model_validate({"alerts": {"to": ["json://one.example.com/"]}})
    duties, watch = Duties(told, state), Divides()
    assert not asyncio.run(duties.watch(watch))
    (pending,) = states.stored(state)
    assert (pending.fingerprint, pending.state.phase) == ("no-data:cpu, cpu-unit", Phase.PENDING)
    now = Moment.now()
    long_ago = replace(now, boottime=now.boottime - 901)
    with state.transaction():
        states.save(state, replace(pending, state=replace(pending.state, since=long_ago, newest=now)))
    assert asyncio.run(duties.watch(watch))
    watch.by = 2
    assert asyncio.run(duties.watch(watch))
    assert states.stored(state) == ()
    first, last = (row.message for row in outbox.waiting(state))
    assert first.title == "not watched: cpu, cpu-unit"
    assert "ZeroDivisionError: division by zero" in first.what
    assert last.title == "watched again: cpu, cpu-unit"


def test_a_clock_that_is_set_back_does_not_make_a_refused_configuration_a_good_one(
    state: State, tmp_path: Path
) -> None:
    """All jobs are made anew then, as after a reload; what is in use is still the old file."""
    file = tmp_path / "wbagent.toml"
    file.touch(0o600)

    async def refuse_and_set_back() -> str:
        agent = Agent(file, state)
        file.write_text("[servr]\n")
        agent._reload()
        agent._clock += 3600
        agent._follow_clock()
        known = state.get(AGENT_CONFIG)
        return str(known.value["refused"]) if known else ""

    assert 'did you mean "server"?' in asyncio.run(refuse_and_set_back())
