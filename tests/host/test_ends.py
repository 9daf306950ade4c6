"""Every end has a name: each fault is injected for real, is on record once with its evidence, and its time measured."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.host.conftest import Fault
from tests.host.server_case import QUICK, UNIT, container_id, history, post, serve, wait_until_serving_again
from tests.testbed.bed import Bed, configure
from tests.testbed.host import Host
from tests.testbed.standin_image import image_changes, image_tar
from tests.testbed.watch import journal_from_now, wait_for_property, wait_for_unit
from wbagent import events

TAG = "wandb/local:other"
PROBES = {**QUICK, "unready_after": "3s"}
QUICK_START = {"server.probes": {"startup_failures": 3, "startup_period": "1s"}}


@pytest.fixture
def serving(hosts: Bed) -> Bed:
    """The server runs on web1, with quick liveness probes."""
    return serve(hosts, **{"server.probes": PROBES})


def only_end(host: Host) -> dict[str, Any]:
    """Its record, once the first restart serves."""
    wait_until_serving_again(host, restarts=1)
    _, end, _ = history(host)
    return end


def has_evidence(end: dict[str, Any]) -> bool:
    return bool(end["at"] and end["log"] and end["probe"].startswith("/") and end["outage"]["seconds"] > 0)


def test_an_exit(serving: Bed, fault: Fault) -> None:
    with fault("server exits with a status"):
        post(serving, "crash?code=3")
        end = only_end(serving.web)
    assert (end["reason"], end["exit_code"]) == ("exited", 3)
    assert end["detail"] == "the container exited with status 3"
    assert has_evidence(end)


def test_a_crash_by_a_signal_of_its_own(serving: Bed, fault: Fault) -> None:
    with fault("server crashes by a signal"):
        post(serving, "abort")
        end = only_end(serving.web)
    # The kernel lets a container's pid 1 ignore SIGABRT; abort(3) then dies by SIGSEGV.
    assert (end["reason"], end["exit_code"]) == ("exited", 139)
    assert end["detail"].endswith("(SIGSEGV)")
    assert has_evidence(end)


def test_a_kill(serving: Bed, fault: Fault) -> None:
    with fault("server is killed (SIGKILL, or out of memory)"):
        serving.web.run(["docker", "kill", "wandb-local"])
        end = only_end(serving.web)
    assert (end["reason"], end["exit_code"]) == ("exited", 137)
    assert "(SIGKILL): somebody sent it SIGKILL (docker stop, docker kill)" in end["detail"]
    assert has_evidence(end)


def test_a_docker_stop_by_hand(serving: Bed, fault: Fault) -> None:
    with fault("server stopped by hand past systemd (docker stop)"):
        serving.web.run(["docker", "stop", "wandb-local"])
        end = only_end(serving.web)
    assert (end["reason"], end["exit_code"]) == ("exited", 0)
    assert "somebody sent it SIGTERM" in end["detail"]


def test_a_hang(serving: Bed, fault: Fault) -> None:
    with fault("server hangs (3 probes, one each second, 1 s each; the guide's are 10 s and 5 s)"):
        post(serving, "hang")
        end = only_end(serving.web)
    assert end["reason"] == "liveness lost"
    assert has_evidence(end)


def test_removed_by_hand(serving: Bed, fault: Fault) -> None:
    with fault("container removed by hand (docker rm --force)"):
        serving.web.run(["docker", "rm", "--force", "wandb-local"])
        end = only_end(serving.web)
    assert end["reason"] == "removed by hand"
    assert end["probe"].startswith("/")
    # Docker has forgotten the container, the journal has not.
    assert any("serves http" in line for line in end["log"])


def test_the_runner_is_killed(serving: Bed, fault: Fault) -> None:
    with fault("runner killed"):
        serving.web.kill(int(serving.web.properties(UNIT)["MainPID"]))
        end = only_end(serving.web)
    assert (end["reason"], end["outage"]["served_on"]) == ("runner died", True)


def test_the_agent_is_killed(serving: Bed, fault: Fault) -> None:
    agent = serving.web.properties("wbagent.service")["MainPID"]
    with fault("agent killed"):
        serving.web.kill(int(agent))
        wait_for_unit(
            serving.web, "wbagent.service", lambda unit: unit["ActiveState"] == "active" and unit["MainPID"] != agent
        )
    assert [record["reason"] for record in history(serving.web)] == ["ready"]


def test_a_power_cut(serving: Bed, fault: Fault) -> None:
    serving.web.run(["systemctl", "enable", UNIT])
    with fault("host loses power, and is switched on at once"):
        serving.web.power_cut()
        serving.web.boot()
        wait_for_property(serving.web, UNIT, "ActiveState", "active")
    _, end, _ = history(serving.web)
    assert (end["reason"], end["outage"]["at_least"]) == ("runner died", True)


def test_readiness_lost_for_long_is_on_record_once_and_one_alert(serving: Bed) -> None:
    web = serving.web
    before = container_id(web)
    with journal_from_now(web, f"MESSAGE_ID={events.READINESS_LOST}") as journal:
        post(serving, "unready")
        journal.wait_for("alive but not ready for", timeout=30)
        told = serving.receiver.wait_for(lambda alert: "alive but not ready" in alert.text, timeout=30)
        assert "/ready: 503 not ready" in told.text
        page = web.run(["wbagent", "status"], check=False)
        assert page.returncode == 3
        assert "NOT READY" in page.stdout
        wait_for_unit(web, "wbagent.service", lambda unit: "NOT READY" in unit["StatusText"])
        assert "since then" in web.run(["wbagent", "server", "history", "1"]).stdout
        post(serving, "ready")
        journal.wait_for("ready again after", timeout=30)
    serving.receiver.wait_for(lambda alert: "is ready again" in alert.text, timeout=30)
    started, lost, back = history(web)
    assert [record["reason"] for record in (started, lost, back)] == ["ready", "readiness lost", "readiness back"]
    assert lost["probe"] == "/ready: 503 not ready"
    assert any("serves http" in line for line in lost["log"])
    assert lost["unready_seconds"] == pytest.approx(back["seconds"], abs=0.5)
    assert (lost["outage"], back["outage"]) == (None, None)
    assert (container_id(web), web.properties(UNIT)["NRestarts"]) == (before, "0")
    assert len(serving.receiver.alerts) == 2
    assert web.run(["wbagent", "status"], check=False).stdout.count("NOT READY") == 0


def test_a_server_that_lost_readiness_is_taken_over_as_it_is(serving: Bed) -> None:
    web = serving.web
    budget = {"startup_failures": 2, "startup_period": "1s"}
    configure(web, serving.web_settings(**{"server.probes": PROBES | budget}))
    before = container_id(web)
    post(serving, "unready")
    wait_for_unit(web, UNIT, lambda unit: "NOT READY" in unit["StatusText"])
    with journal_from_now(web, f"MESSAGE_ID={events.READINESS_LOST}") as journal:
        web.kill(int(web.properties(UNIT)["MainPID"]))
        # Longer than the budget of a start.
        journal.wait_for("alive but not ready for", timeout=30)
        post(serving, "ready")
        journal.wait_for("ready again after", timeout=30)
    assert (container_id(web), web.properties(UNIT)["NRestarts"]) == (before, "1")


def test_a_pause_holds_the_alert_about_readiness(serving: Bed) -> None:
    web = serving.web
    with journal_from_now(web, f"MESSAGE_ID={events.READINESS_LOST}") as journal:
        web.run(["wbagent", "server", "pause", "bucket moves"])
        post(serving, "unready")
        journal.wait_for("alive but not ready for", timeout=30)
        # A round of the agent that has seen it.
        wait_for_unit(web, "wbagent.service", lambda unit: "NOT READY" in unit["StatusText"])
    assert serving.receiver.alerts == []
    web.run(["wbagent", "server", "resume"])
    serving.receiver.wait_for(lambda alert: "alive but not ready" in alert.text, timeout=30)


def test_a_stop_waits_for_a_server_that_stops_slowly(hosts: Bed) -> None:
    web = hosts.web
    web.import_image(image_tar(), TAG, image_changes(STANDIN_STOP_SECONDS="8"))
    configure(web, hosts.web_settings(server={"image": TAG, "stop_timeout": "30s"}))
    web.write(f"/etc/systemd/system/{UNIT}.d/short.conf", "[Service]\nTimeoutStopSec=3s\n")
    web.run(["systemctl", "daemon-reload"])
    web.run(["systemctl", "start", UNIT])
    with journal_from_now(web, f"OBJECT_SYSTEMD_UNIT={UNIT}") as journal:
        began = time.monotonic()
        web.run(["systemctl", "stop", UNIT])
        assert time.monotonic() - began >= 8
        # The stand-in's last words: it was not killed.
        journal.wait_for("*** Killing all processes...", timeout=10)
    assert web.properties(UNIT)["Result"] == "success"
    assert [record["reason"] for record in history(web)] == ["ready", "stopped"]


def test_a_stop_waits_for_migrations_and_one_that_may_not_leaves_a_named_mess(hosts: Bed) -> None:
    web = hosts.web
    slow = image_changes(STANDIN_MIGRATION_SECONDS="12", STANDIN_FINISHES_MIGRATIONS="1")
    web.import_image(image_tar(), TAG, slow)
    configure(web, hosts.web_settings(server={"image": TAG, "stop_timeout": "30s"}))
    stop_in_the_middle(web, "running migration 1 of 3")
    assert hosts.sql("SELECT version, dirty FROM schema_migrations", "wandb_local").split() == ["3", "0"]
    web.import_image(image_tar(), TAG, [*slow, "ENV STANDIN_SCHEMA_VERSION=4"])
    configure(web, hosts.web_settings(server={"image": TAG, "stop_timeout": "1s"}))
    stop_in_the_middle(web, "running migration 4 of 4")
    assert hosts.sql("SELECT version, dirty FROM schema_migrations", "wandb_local").split() == ["4", "1"]
    configure(web, hosts.web_settings(server={"image": TAG}, **QUICK_START))
    shown = start_fails(web)
    assert "start-up budget spent" in shown
    assert "cause: a migration was interrupted and left the database dirty" in shown
    assert "to do: restore the last backup" in shown


def stop_in_the_middle(host: Host, line: str) -> None:
    with journal_from_now(host, f"OBJECT_SYSTEMD_UNIT={UNIT}") as journal:
        host.run(["systemctl", "start", "--no-block", UNIT])
        journal.wait_for(line)
        host.run(["systemctl", "stop", UNIT])
    assert host.properties(UNIT)["Result"] == "success"
    assert history(host)[-1]["reason"] == "stopped"


def start_fails(host: Host) -> str:
    """Start the unit, which must fail; what `wbagent server history` shows of it."""
    assert host.run(["systemctl", "start", UNIT], check=False).returncode != 0
    host.run(["systemctl", "stop", UNIT])
    return host.run(["wbagent", "server", "history", "--last", "3", "--verbose"]).stdout


@pytest.mark.parametrize(
    ("environment", "server", "cause", "remedy"),
    [
        ({"STANDIN_PANIC": "NoSuchBucket"}, {}, "the bucket does not exist", "create the bucket"),
        ({}, {"mysql": "mysql://u:p@{db}:1/x"}, "the database does not answer", "see whether mysqld runs"),
        ({}, {"volume": "/srv/not-writable"}, "/vol is not writable", "chown the volume's directory"),
        (None, {}, "the container runs as a user whose group is not 0", "set [server] user"),
    ],
    ids=["no bucket", "no database", "volume not writable", "wrong group"],
)
def test_known_failures_are_shown_with_their_remedy(
    hosts: Bed, environment: dict[str, str] | None, server: dict[str, str], cause: str, remedy: str
) -> None:
    web = hosts.web
    changes = image_changes(**environment) if environment is not None else [*image_changes(), "USER 999:999"]
    web.import_image(image_tar(), TAG, changes)
    web.run(["install", "-d", "--mode=0755", "/srv/not-writable"])
    keys = {key: value.format(db=hosts.db.address) for key, value in server.items()}
    configure(web, hosts.web_settings(server={"image": TAG, **keys}, **QUICK_START))
    shown = start_fails(web)
    assert f"cause: {cause}" in shown
    assert f"to do: {remedy}" in shown
    # The line itself is among the last ones of the log.
    assert "        | " in shown
