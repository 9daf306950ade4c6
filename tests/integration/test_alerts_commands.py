"""`wbagent alerts test`, `list` and `unit-failed`, each as a process of its own, whatever else is wrong on the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.delivery_case import Agent
from tests.testbed.receiver import Receiver


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


def test_test_shows_each_answer(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url, "nosuch://x")
    done = agent.run("test")
    assert done.returncode == 75
    assert done.stdout.splitlines()[0] == f"json://127.0.0.1:{receiver.port}: taken"
    assert "cannot read" in done.stdout.splitlines()[1]
    assert "[test]" in receiver.alerts[0].text
    agent.tell(receiver.url)
    assert agent.run("test").returncode == 0


def test_nobody_to_tell_is_said(agent: Agent) -> None:
    agent.tell()
    assert "journal only" in agent.run("test").stdout
    assert agent.run("deliver").returncode == 0
    listed = agent.run("list")
    assert "journal only" in listed.stdout
    assert "no alert is firing" in listed.stdout
    failed = agent.run("unit-failed", "wbagent.service")
    assert failed.returncode == 0
    assert "until it runs again nothing is watched" in failed.stderr


def test_listed_for_people_and_programs(agent: Agent, receiver: Receiver) -> None:
    receiver.behave("refuse")
    agent.tell(receiver.url)
    agent.enqueue()
    agent.run("deliver")
    text = agent.run("list").stdout
    assert "not delivered to json://127.0.0.1" in text
    assert "1 attempts, the next in" in text
    listed: dict[str, Any] = json.loads(agent.run("list", "--json").stdout)
    assert listed["destinations"] == [f"json://127.0.0.1:{receiver.port}"]
    assert listed["waiting"][0]["message"]["title"] == "CPU 63 % busy for 5min"
    assert listed["alerts"] == []


def test_a_unit_failure_goes_out_though_the_rest_of_the_configuration_is_wrong(
    agent: Agent, receiver: Receiver
) -> None:
    agent.tell(receiver.url)
    agent.config.write_text('[server]\nhost = "no url"\n' + agent.config.read_text())
    assert agent.run("unit-failed", "wbagent.service").returncode == 0
    assert "the agent failed" in receiver.alerts[0].text


def test_a_unit_failure_goes_out_though_the_state_file_is_damaged(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    (agent.directory / "state.db").write_bytes(b"this is no SQLite file" * 100)
    done = agent.run("unit-failed", "wbagent-backup.service")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert len(list(agent.directory.glob("state.db.damaged-*"))) == 1
    assert "backup failed" in receiver.alerts[0].text


def test_a_unit_failure_goes_out_though_there_can_be_no_state_file(agent: Agent, receiver: Receiver) -> None:
    agent.tell(receiver.url)
    (agent.directory / "state.db").unlink(missing_ok=True)
    (agent.directory / "state.db").mkdir()
    done = agent.run("unit-failed", "wbagent-backup.service")
    assert done.returncode == 73
    assert "Traceback" not in done.stderr
    assert "backup failed" in receiver.alerts[0].text
