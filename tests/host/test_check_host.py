"""`wbagent check host docker` on booted hosts: before an installation, in each trouble that was made, and serving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.host.check_case import check, verdicts
from tests.testbed import docker_daemon
from tests.testbed.bed import IMAGE, Bed, configure
from tests.testbed.host import Host
from tests.testbed.kernel_clock import synchronised
from tests.testbed.registry import registry
from tests.testbed.watch import wait_for_unit

UNIT = "wandb-local.service"
CONFIGURATION = "/etc/wbagent.toml"


@contextmanager
def listening(host: Host, port: int) -> Iterator[None]:
    """Another service has the port, and says nothing that is HTTP: it repeats what it is told."""
    unit = ["systemd-run", "--unit=squatter", "--service-type=exec", "--collect", "--property=PrivateUsers=no"]
    host.run([*unit, "systemd-socket-activate", "--accept", "--inetd", f"--listen={port}", "cat"])
    try:
        host.run(["sh", "-c", f"until ss -Hltn sport = :{port} | grep -q .; do :; done"])
        yield
    finally:
        host.run(["systemctl", "stop", "squatter.service"])


def test_before_anything_is_configured(hosts: Bed) -> None:
    web = hosts.web
    for there in (True, False):
        if not there:
            web.run(["rm", CONFIGURATION])
        found = check(web, "host", "docker")
        assert verdicts(found, "file", "image", "memory") == ["note"] * 3
        good = ["architecture", "open files", "port", "systemd", "free disk", "firewall"]
        assert set(verdicts(found, *good)) == {"pass"}
        assert set(verdicts(found, "daemon", "version", "start at boot", "storage", "log driver", "container")) == {
            "pass"
        }
        assert verdicts(found, "live-restore") == ["warn"]
        # The host lies on an overlay that syncs nothing.
        assert "too fast for a disk" in found["disk speed"]["found"]
        assert found["disk speed"]["verdict"] == "note"
    page = web.run(["wbagent", "check", "host"], check=False).stdout
    assert "wbagent init" in page
    everybodys = check(web, "host", "docker", user="nobody")
    assert verdicts(everybodys, "firewall", "daemon", "disk speed") == ["note"] * 3
    assert "sudo" in everybodys["daemon"]["remedy"]
    assert "version" not in everybodys


def test_each_trouble_is_told(hosts: Bed) -> None:
    web = hosts.web
    configure(web, hosts.web_settings(server={"image": "127.0.0.1:5000/wandb/local:0.83.0", "port": 8080}))
    docker_daemon.set_live_restore(web, live=True)
    with listening(web, 8080):
        found = check(web, "host")
        assert "of squatter.service" in found["port"]["found"]
        assert found["port"]["remedy"].startswith("systemctl stop squatter.service\n")
    web.run(["iptables", "-I", "DOCKER-USER", "-p", "tcp", "--dport", "8080", "-j", "DROP"])
    options = ["--log-driver=json-file", "--name=wandb-local", "--restart=always", "--publish=8080:8080"]
    web.run(["docker", "run", "--detach", "--env=TOKEN=not-to-be-shown", *options, IMAGE])
    found = check(web, "host", "docker")
    assert (found["firewall"]["verdict"], "--dport 8080 -j DROP" in found["firewall"]["found"]) == ("warn", True)
    assert (found["container"]["verdict"], "restart policy always" in found["container"]["found"]) == ("fail", True)
    assert (found["other logs"]["verdict"], "wandb-local" in found["other logs"]["found"]) == ("warn", True)
    assert (found["image"]["verdict"], "not to be had" in found["image"]["found"]) == ("fail", True)
    assert "not-to-be-shown" not in json.dumps(found)
    assert verdicts(found, "live-restore") == ["pass"]
    web.run(["docker", "rename", "wandb-local", "grafana"])
    assert "taken by the container grafana" in check(web, "host")["port"]["found"]
    web.run(["iptables", "-D", "DOCKER-USER", "-p", "tcp", "--dport", "8080", "-j", "DROP"])
    with registry(web) as address:
        pushed = f"{address}/wandb/local:0.83.0"
        web.run(["docker", "tag", IMAGE, pushed])
        web.run(["docker", "push", "--quiet", pushed])
        web.run(["docker", "rmi", pushed])
        image = check(web, "docker")["image"]
        assert (image["verdict"], image["remedy"]) == ("warn", f"docker pull {pushed}")
    docker_daemon.stop(web)
    found = check(web, "docker")
    assert list(found) == ["daemon"]
    assert found["daemon"]["remedy"].startswith("systemctl start docker.service\n")
    docker_daemon.start(web)


def failures(host: Host, *areas: str) -> set[tuple[str, str]]:
    """Area and name of each check that fails, of those that one of two causes makes fail."""
    document = json.loads(host.run(["wbagent", "check", "--json", *areas], check=False).stdout)
    failed = {(each["area"], each["check"]) for each in document["results"] if each["verdict"] == "fail"}
    assert document["status"] == 2, document
    return failed & {
        ("host", "port"),
        ("server", "unit"),
        ("server", "probes"),
        ("tls", "https"),
        ("proxy", "public address"),
    }


def test_a_cause_fails_in_one_area_and_in_one_that_is_looked_at_alone(hosts: Bed) -> None:
    web, together = hosts.web, ("host", "server", "tls", "proxy")
    # Nobody has put a load balancer there yet.
    configure(web, hosts.web_settings(server={"host": f"https://{web.address}", "port": 8080}))
    with listening(web, 8080):
        assert failures(web, *together) == {("host", "port"), ("server", "unit"), ("tls", "https")}
        web.run(["systemctl", "start", UNIT], check=False)
        wait_for_unit(web, UNIT, lambda unit: unit["SubState"] == "auto-restart")
        assert failures(web, *together) == {("host", "port"), ("tls", "https")}
        assert failures(web, "proxy") == {("proxy", "public address")}
        assert ("server", "probes") in failures(web, "server")
    # By itself, now that the port is free.
    wait_for_unit(web, UNIT, lambda unit: unit["ActiveState"] == "active")
    assert failures(web, *together) == {("tls", "https")}
    assert failures(web, "proxy") == {("proxy", "public address")}


@pytest.mark.alone
def test_a_host_that_serves(hosts: Bed) -> None:
    web, db = hosts.web, hosts.db
    configure(web, hosts.web_settings())
    web.run(["systemctl", "start", "wandb-local.service"])
    with synchronised(value=True):
        found = check(web, "host", "docker")
    assert set(verdicts(found, "port", "clock", "container", "other logs", "image", "open files")) == {"pass"}
    assert "the running server's own" in found["port"]["found"]
    assert hosts.db.address in found["disk speed"]["found"]
    with synchronised(value=False):
        assert verdicts(check(web, "host"), "clock") == ["warn"]
    web.run(["docker", "update", "--restart=always", "wandb-local"])
    container = check(web, "docker")["container"]
    assert (container["verdict"], container["remedy"]) == ("warn", "docker update --restart=no wandb-local")
    configure(db, hosts.db_settings())
    found = check(db, "host", "docker")
    assert "/var/lib/mysql" in found["disk kind"]["found"]
    assert "not needed" in found["daemon"]["found"]
    assert "memory" not in found
