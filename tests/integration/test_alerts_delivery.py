"""Delivery by the command itself, as a process of its own, to a real HTTP receiver that works, refuses or hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.delivery_case import MESSAGE, Agent
from tests.testbed.receiver import Receiver
from wbagent.alerts.destination import destinations
from wbagent.alerts.message import Kind, Message


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where connections are accepted by the kernel and nobody ever reads or answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"json://127.0.0.1:{listener.getsockname()[1]}/never"


def test_delivered_once(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    agent.enqueue()
    done = agent.run("deliver")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f'delivered to json://127.0.0.1:{receiver.port}: "CPU 63 % busy for 5min"\n'
    (alert,) = receiver.alerts
    assert alert.body["title"] == "[warning] db1: CPU 63 % busy for 5min"
    assert alert.body["message"] == "The processors are 63 % busy.\nWhy: the guide says so"
    assert alert.body["type"] == "warning"
    assert agent.run("deliver").returncode == 0
    assert len(receiver.alerts) == 1


def test_refused_kept_and_delivered_when_the_receiver_is_back(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    agent.enqueue()
    receiver.behave("refuse")
    done = agent.run("deliver")
    assert done.returncode == 75
    assert "503" in done.stderr
    assert "stay in the outbox" in done.stderr
    (row,) = agent.waiting()
    assert row.attempts == 1
    assert "503" in row.last_error
    # Not due yet: neither tried nor a failure.
    assert agent.run("deliver").returncode == 0
    assert len(receiver.alerts) == 1
    receiver.behave("accept")
    agent.let_time_pass()
    assert agent.run("deliver").returncode == 0
    assert [alert.accepted for alert in receiver.alerts] == [False, True]
    assert agent.waiting() == ()


def test_the_end_is_told_after_the_beginning(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    agent.enqueue()
    receiver.behave("refuse")
    assert agent.run("deliver").returncode == 75
    agent.enqueue(Message("cpu", Kind.RESOLVED, "info", "CPU below 40 % again", "12 %", "db1", 1_000_100.0))
    # Only the first of the two is tried while it is refused.
    assert agent.run("deliver").returncode == 75
    assert len(receiver.alerts) == 2
    receiver.behave("accept")
    agent.let_time_pass()
    assert agent.run("deliver").returncode == 0
    assert [alert.body["type"] for alert in receiver.alerts if alert.accepted] == ["warning", "success"]


def test_what_a_day_without_network_left_arrives_as_one_digest(agent: Agent, receiver: Receiver) -> None:
    """Nothing is lost, nobody gets forty messages: what still fires stands on top."""
    agent.tell(receiver.url)
    receiver.behave("refuse")
    for hour in range(20):
        for kind, title in ((Kind.FIRING, "CPU 63 % busy"), (Kind.RESOLVED, "CPU below 40 % again")):
            agent.enqueue(replace(MESSAGE, kind=kind, title=title, at=MESSAGE.at + 3600 * hour))
    agent.enqueue(replace(MESSAGE, fingerprint="database-away", severity="critical", title="MySQL does not answer"))
    assert agent.run("deliver").returncode == 75
    assert len(agent.waiting()) == 41
    agent.age(86_400)
    receiver.behave("accept")
    agent.let_time_pass()
    assert agent.run("deliver").returncode == 0
    assert agent.waiting() == ()
    *refused, accepted = receiver.alerts
    assert not any(alert.accepted for alert in refused)
    assert "41 messages have waited since" in str(accepted.body["title"])
    first, second, *_ = str(accepted.body["message"]).split("\n")
    assert first.startswith("[critical] ")
    assert first.endswith("MySQL does not answer")
    assert second.startswith("[resolved] ")
    assert second.endswith("CPU below 40 % again")
    assert accepted.body["type"] == "failure"


@pytest.mark.parametrize("way", ["no answer", "no reading"])
def test_a_hanging_destination_holds_up_no_other(agent: Agent, receiver: Receiver, deaf: str, way: str) -> None:
    with Receiver() as slow:
        slow.behave("hang")
        agent.tell(deaf if way == "no reading" else slow.url, receiver.url)
        agent.enqueue()
        process = agent.start("deliver")
        receiver.wait_for(lambda _: True, timeout=30)
        # The other one has its message while this one still keeps the process waiting.
        assert process.poll() is None
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "Read timed out" in err
    assert [row.label for row in agent.waiting()] == [destinations(agent.urls)[0].label]


_CARRY = """
import json, sys
from wbagent.alerts.courier import Parcel, carry
from wbagent.alerts.destination import destinations
from wbagent.alerts.message import Message

urls, messages, message_limit, round_limit = json.load(sys.stdin)
parcels = [Parcel(to, tuple(Message.from_json(each) for each in messages)) for to in destinations(urls)]
for answer in carry(parcels, message_limit=message_limit, round_limit=round_limit):
    print(json.dumps([urls.index(answer.destination.url), answer.index, answer.error, answer.tried]), flush=True)
"""


@pytest.mark.parametrize(("message_limit", "round_limit"), [(5.0, 60.0), (60.0, 5.0)])
def test_a_destination_that_answers_byte_by_byte_is_ended(
    receiver: Receiver, dripping: str, message_limit: float, round_limit: float
) -> None:
    """Apprise's time-outs hold between two bytes; the whole is bounded by the courier, here with shorter limits.

    Not so short that a busy machine does not deliver to the other one within them.
    """
    other = Message("disk", Kind.EVENT, "info", "disk full", "", "db1", 0.0)
    work = [[dripping, receiver.url], [MESSAGE.to_json(), other.to_json()], message_limit, round_limit]
    done = subprocess.run(
        [sys.executable, "-c", _CARRY], input=json.dumps(work), capture_output=True, text=True, timeout=30, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers == [
        [1, 0, "", True],
        [1, 1, "", True],
        [0, 0, "no answer within 5 s", True],
        [0, 1, "not tried: no answer within 5 s", False],
    ]
    assert len(receiver.alerts) == 2


@pytest.fixture
def dripping() -> Iterator[str]:
    """An address that sends one byte of a header a second, for ever."""
    program = (
        "import socket, time\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "caller, _ = listener.accept()\n"
        "caller.sendall(b'HTTP/1.1 200 OK\\r\\nX-Long: ')\n"
        "while True:\n"
        "    caller.sendall(b'x')\n"
        "    time.sleep(1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"json://127.0.0.1:{process.stdout.readline().strip()}/drip"
        process.kill()


def test_killed_between_the_outbox_and_delivery(agent: Agent, receiver: Receiver) -> None:
    """The deliverer is SIGKILLed while the receiver holds its request: the message is still there, and goes out."""
    agent.tell(receiver.url)
    agent.enqueue()
    receiver.behave("hang")
    process = agent.start("deliver")
    while not receiver.alerts:
        assert process.poll() is None
        os.sched_yield()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert len(agent.waiting()) == 1
    receiver.behave("accept")
    assert agent.run("deliver").returncode == 0
    assert [alert.accepted for alert in receiver.alerts] == [False, True]
    assert agent.waiting() == ()


def test_killed_while_telling_of_a_unit(agent: Agent, receiver: Receiver) -> None:
    """wbagent-alert@.service is SIGKILLed before its destination answered: the next deliverer tells it."""
    agent.tell(receiver.url)
    receiver.behave("hang")
    process = agent.start("unit-failed", "wbagent-backup.service")
    while not receiver.alerts:
        assert process.poll() is None
        os.sched_yield()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    receiver.behave("accept")
    assert agent.run("deliver").returncode == 0
    assert "backup failed" in receiver.alerts[-1].text
    assert receiver.alerts[-1].accepted


def test_two_deliverers_do_not_send_the_same_twice(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    for number in range(10):
        agent.enqueue(Message(f"alert {number}", Kind.EVENT, "info", f"number {number}", "", "db1", 0.0))
    both = [agent.start("deliver"), agent.start("deliver")]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert errors == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(alert.text for alert in receiver.alerts) == sorted({alert.text for alert in receiver.alerts})
    assert len(receiver.alerts) == 10


def test_urls_that_apprise_cannot_read_are_told(agent: Agent, receiver: Receiver) -> None:
    agent.tell("nosuch://hunter2hunter2/x", "slack://bad", receiver.url)
    agent.enqueue()
    done = agent.run("deliver")
    assert done.returncode == 75
    assert "hunter2" not in done.stdout + done.stderr
    assert done.stderr.count("Apprise cannot read this URL") == 2
    assert len(receiver.alerts) == 1
    assert len(agent.waiting()) == 2


def test_secrets_stay_out_of_errors_and_the_state_file(agent: Agent) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    agent.tell(f"json://user:hunter2secret@127.0.0.1:{port}/hooktoken")
    agent.enqueue()
    done = agent.run("deliver")
    assert "Connection refused" in done.stderr
    shown = agent.run("list").stdout + agent.run("list", "--json").stdout + done.stderr
    for secret in ("hunter2secret", "hooktoken"):
        assert secret not in shown
        assert secret.encode() not in (agent.directory / "state.db").read_bytes()


def test_a_destination_that_is_silent_for_long_is_told_to_the_others(agent: Agent, receiver: Receiver) -> None:
    with Receiver() as broken:
        broken.behave("refuse")
        agent.tell(broken.url, receiver.url)
        agent.enqueue()
        assert agent.run("deliver").returncode == 75
        agent.age(3601)
        agent.let_time_pass()
        assert agent.run("deliver").returncode == 75
        told = receiver.wait_for(lambda alert: "alerts do not reach" in alert.text, timeout=10)
        assert f"json://127.0.0.1:{broken.port}" in told.text
        assert "503" in told.text
        broken.behave("accept")
        agent.let_time_pass()
        assert agent.run("deliver").returncode == 0
        receiver.wait_for(lambda alert: "again" in alert.text and alert.body["type"] == "success", timeout=10)
    assert len(receiver.alerts) == 3


def test_a_locked_state_file_is_an_error_and_no_traceback(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    agent.enqueue()
    with closing(sqlite3.connect(agent.directory / "state.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        done = agent.run("deliver")
    assert done.returncode == 73
    assert "locked" in done.stderr
    assert "Traceback" not in done.stderr
    assert agent.run("deliver").returncode == 0
    assert len(receiver.alerts) == 1
