"""Docker's own troubles, injected for real: "cannot reach Docker" is never taken for "server dead"."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.host.conftest import Fault
from tests.host.server_case import QUICK_PROBES, UNIT, container_id, history, wait_until_serving_again
from tests.testbed import docker_daemon
from tests.testbed.bed import IMAGE, Bed, configure, reload
from tests.testbed.command import DeadlineError
from tests.testbed.docker_daemon import set_live_restore
from tests.testbed.host import Host
from tests.testbed.watch import journal_from_now, wait_for_unit
from wbagent import events

# The unit's status line is written anew after each probe.
FREQUENT_PROBES: dict[str, dict[str, object]] = {"server.probes": {"liveness_period": "1s"}}
# Longer than the watchdog's time.
STOPPED_S = 10


def serve(bed: Bed, *, live: bool, **sections: dict[str, object]) -> str:
    """Start the server under a daemon with or without live-restore; the container's id."""
    web = bed.web
    set_live_restore(web, live=live)
    # Short enough that a watchdog that is not fed would end the runner within the test.
    web.write(f"/etc/systemd/system/{UNIT}.d/short.conf", "[Service]\nWatchdogSec=8s\n")
    web.run(["systemctl", "daemon-reload"])
    configure(web, bed.web_settings(**sections))
    reload(web)
    web.run(["systemctl", "start", UNIT])
    return container_id(web)


def ends(host: Host) -> list[dict[str, Any]]:
    """What the history holds but starts, oldest first."""
    return [record for record in history(host) if record["reason"] != "ready"]


def left_alone(host: Host, before: str) -> bool:
    """Whether the same container runs under the same runner, and no end is on record."""
    unit = host.properties(UNIT)
    return (container_id(host), unit["NRestarts"], unit["ActiveState"], ends(host)) == (before, "0", "active", [])


def serves_itself(host: Host) -> bool:
    """Whether programs on the host, such as a reverse proxy, reach the server at its published port."""
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ready', timeout=5)"
    return host.run(["python3", "-c", ask], check=False).returncode == 0


def has_status(text: str) -> Callable[[Any], bool]:
    return lambda unit: text in unit.get("StatusText", "")


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_without_live_restore_docker_takes_the_server_along(hosts: Bed, fault: Fault, how: str) -> None:
    web = hosts.web
    before = serve(hosts, live=False)
    with fault(f"dockerd {how}, without live-restore"):
        docker_daemon.restart(web) if how == "restarted" else docker_daemon.kill(web)
        wait_until_serving_again(web, restarts=1)
    assert container_id(web) != before
    [end] = ends(web)
    assert end["reason"] == "Docker away"
    assert "live-restore" in end["detail"]


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_with_live_restore_the_server_is_left_alone(hosts: Bed, fault: Fault, how: str) -> None:
    web = hosts.web
    before = serve(hosts, live=True)
    with (
        journal_from_now(web, f"MESSAGE_ID={events.DOCKER_AWAY}") as journal,
        fault(f"dockerd {how}, with live-restore"),
    ):
        docker_daemon.restart(web) if how == "restarted" else docker_daemon.kill(web)
        journal.wait_for("Docker does not answer; the server is left alone")
        wait_for_unit(web, UNIT, lambda unit: "Docker is away" not in unit.get("StatusText", ""))
    assert left_alone(web, before)
    assert hosts.receiver.alerts == []
    # The runner holds the container again: its end is seen.
    web.run(["docker", "kill", "wandb-local"])
    wait_until_serving_again(web, restarts=1)


def test_docker_stopped_by_an_operator_stays_stopped_and_the_server_comes_back_with_it(
    hosts: Bed, fault: Fault
) -> None:
    web = hosts.web
    serve(hosts, live=False)
    with fault(f"dockerd stopped for {STOPPED_S} s, without live-restore"):
        docker_daemon.stop(web)
        stopped = web.properties(docker_daemon.UNIT)["StateChangeTimestampMonotonic"]
        wait_for_unit(web, UNIT, has_status("waiting for Docker: systemctl status docker.service"))
        with pytest.raises(DeadlineError):
            wait_for_unit(web, docker_daemon.UNIT, lambda unit: unit["ActiveState"] != "inactive", timeout=STOPPED_S)
        unit = web.properties(docker_daemon.UNIT)
        assert (unit["ActiveState"], unit["StateChangeTimestampMonotonic"]) == ("inactive", stopped)
        unit = web.properties(UNIT)
        assert (unit["ActiveState"], unit["NRestarts"]) == ("activating", "1")
        assert "waiting for Docker" in web.run(["wbagent", "status"], check=False).stdout
        docker_daemon.start(web)
        wait_until_serving_again(web, restarts=1)
    [end] = ends(web)
    assert end["reason"] == "Docker away"
    assert end["outage"]["seconds"] > STOPPED_S
    hosts.receiver.wait_for(lambda alert: "Docker away" in alert.text, timeout=30)


def test_with_live_restore_users_are_served_while_docker_is_stopped(hosts: Bed, fault: Fault) -> None:
    web = hosts.web
    before = serve(hosts, live=True, **FREQUENT_PROBES)
    with fault(f"dockerd stopped for {STOPPED_S} s, with live-restore") as users:
        docker_daemon.stop(web)
        wait_for_unit(web, UNIT, has_status("but Docker is away"))
        # docker-proxy dies with its daemon, so programs on the host are cut off; users come in by the kernel's rules.
        assert docker_daemon.proxies(web) == []
        assert not serves_itself(web)
        users.wait_until_served(since=time.monotonic() + STOPPED_S)
        assert web.properties(docker_daemon.UNIT)["ActiveState"] == "inactive"
        assert web.properties(UNIT)["ActiveState"] == "active"
        docker_daemon.start(web)
        wait_for_unit(web, UNIT, lambda unit: "Docker is away" not in unit.get("StatusText", ""))
    assert left_alone(web, before)
    assert serves_itself(web)
    assert hosts.receiver.alerts == []


def test_a_daemon_that_hangs_is_not_waited_for(hosts: Bed, fault: Fault) -> None:
    web = hosts.web
    before = serve(hosts, live=False)
    dockerd = int(web.properties(docker_daemon.UNIT)["MainPID"])
    with fault("dockerd hangs for 12 s (SIGSTOP)") as users:
        web.kill(dockerd, signal.SIGSTOP)
        # Longer than the watchdog's time.
        users.wait_until_served(since=time.monotonic() + 12)
        web.kill(dockerd, signal.SIGCONT)
    assert left_alone(web, before)


def test_a_stop_while_docker_is_away_says_what_goes_on_and_the_next_start_takes_it_over(hosts: Bed) -> None:
    web = hosts.web
    before = serve(hosts, live=True, **FREQUENT_PROBES)
    docker_daemon.stop(web)
    wait_for_unit(web, UNIT, has_status("but Docker is away"))
    web.run(["systemctl", "stop", UNIT])
    [end] = ends(web)
    assert end["reason"] == "Docker away"
    assert "the container may go on serving" in end["detail"]
    docker_daemon.start(web)
    web.run(["systemctl", "start", UNIT])
    assert container_id(web) == before


def test_a_server_that_dies_while_docker_is_away_is_told_and_started_when_docker_is_back(
    hosts: Bed, fault: Fault
) -> None:
    web = hosts.web
    before = serve(hosts, live=True, **QUICK_PROBES)
    pid = json.loads(web.run(["docker", "inspect", "wandb-local"]).stdout)[0]["State"]["Pid"]
    with fault("server killed while dockerd is stopped, with live-restore") as users:
        docker_daemon.stop(web)
        wait_for_unit(web, UNIT, has_status("but Docker is away"))
        died = time.monotonic()
        web.kill(pid)
        users.wait_until_cut_off(since=died)
        wait_for_unit(web, UNIT, has_status("waiting for Docker"))
        assert web.properties(UNIT)["ActiveState"] == "activating"
        [end] = ends(web)
        assert end["reason"] == "Docker away"
        assert "3 probes in a row failed" in end["detail"]
        docker_daemon.start(web)
        wait_until_serving_again(web, restarts=1)
    assert container_id(web) != before


def test_a_dead_published_port_is_opened_again(hosts: Bed, fault: Fault) -> None:
    web = hosts.web
    before = serve(hosts, live=False, **QUICK_PROBES)
    assert docker_daemon.proxies(web)
    with fault("docker-proxy killed (users from outside; programs on the host wait for the probes)"):
        for pid in docker_daemon.proxies(web):
            web.kill(pid)
        wait_until_serving_again(web, restarts=1)
    assert container_id(web) != before
    [end] = ends(web)
    assert end["reason"] == "published port lost"
    assert serves_itself(web)


def test_docker_stopped_before_the_start_is_waited_for_and_a_stop_ends_the_wait(hosts: Bed) -> None:
    web = hosts.web
    docker_daemon.stop(web)
    configure(web, hosts.web_settings())
    web.run(["systemctl", "start", "--no-block", UNIT])
    wait_for_unit(web, UNIT, has_status("waiting for Docker"))
    assert web.properties(docker_daemon.UNIT)["ActiveState"] == "inactive"
    web.run(["systemctl", "stop", UNIT])
    assert (web.properties(UNIT)["Result"], ends(web)) == ("success", [])
    # The wait is no part of the start's budget.
    configure(web, hosts.web_settings(**{"server.probes": {"startup_failures": 6, "startup_period": "1s"}}))
    web.run(["systemctl", "start", "--no-block", UNIT])
    wait_for_unit(web, UNIT, has_status("waiting for Docker"))
    with pytest.raises(DeadlineError):
        wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] != "activating", timeout=8)
    docker_daemon.start(web)
    wait_until_serving_again(web, restarts=0)


def test_a_foreign_container_is_refused_and_its_maker_named(hosts: Bed) -> None:
    web = hosts.web
    labels = ["com.docker.compose.project=analytics", "com.docker.compose.project.working_dir=/srv/analytics"]
    options = [word for label in labels for word in ("--label", label)]
    web.run(
        ["docker", "create", "--name=wandb-local", *options, "--restart=always", "--env=TOKEN=not-to-be-shown", IMAGE]
    )
    foreign = container_id(web)
    configure(web, hosts.web_settings())
    assert web.run(["systemctl", "start", UNIT], check=False).returncode != 0
    web.run(["systemctl", "stop", UNIT])
    end = ends(web)[0]
    assert end["reason"] == "foreign container"
    for told in (IMAGE, "program /sbin/my_init", "Docker Compose, project analytics", "/srv/analytics", "always"):
        assert told in end["detail"]
    assert "not-to-be-shown" not in json.dumps(end)
    assert container_id(web) == foreign
