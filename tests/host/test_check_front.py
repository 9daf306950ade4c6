"""`wbagent check tls proxy` on a booted host, with the server in Docker: load balancers on this host and on another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.testbed.authority import Authority
from tests.testbed.bed import Bed, configure
from tests.testbed.fronts import Setup, front

# What finds nothing while the server runs.
UNSEEN = {"streams": "note"}


@pytest.fixture
def authority(hosts: Bed, tmp_path: Path) -> Iterator[Authority]:
    """One that web1 trusts."""
    made = Authority(tmp_path)
    made.trusted_by(hosts.web)
    yield made
    hosts.web.run(["rm", "/usr/local/share/ca-certificates/test-authority.crt"])
    hosts.web.run(["update-ca-certificates", "--fresh"])


def check(bed: Bed, user: str = "root") -> dict[str, str]:
    """How good each is, by the check and what it is about."""
    ran = bed.web.run(["wbagent", "check", "tls", "proxy", "--json"], check=False, user=user, timeout=120)
    print(ran.stdout)
    results = json.loads(ran.stdout)["results"]
    return {
        f"{result['check']}: {result['about']}" if result["about"] else result["check"]: result["verdict"]
        for result in results
    }


def not_passed(found: dict[str, str]) -> dict[str, str]:
    return {name: verdict for name, verdict in found.items() if verdict != "pass"}


def serve(bed: Bed, address: str) -> None:
    configure(bed.web, bed.web_settings(server={"host": f"https://{address}"}))
    bed.web.run(["systemctl", "start", "wandb-local.service"])


def test_load_balancers_here_and_elsewhere_before_a_server_that_runs_and_one_that_is_stopped(
    hosts: Bed, authority: Authority
) -> None:
    web, elsewhere = hosts.web, hosts.bucket_place
    serve(hosts, web.address)
    here = Setup("127.0.0.1:8080", authority.issue(web.address), address=web.address)
    with front("nginx", here, web.network), ThreadPoolExecutor() as pool:
        root, other = (pool.submit(check, hosts, user) for user in ("root", "wbagent"))
        assert not_passed(root.result()) == UNSEEN
        # Who may not look at what reaches the server says so, and fails nothing.
        assert not_passed(other.result()) == UNSEEN | dict.fromkeys(("websocket", "Host", "forwarded"), "note")
    serve(hosts, elsewhere.address)
    there = Setup(f"{web.address}:8080", authority.issue(elsewhere.address), address=elsewhere.address, upgrade=False)
    with front("haproxy", there, elsewhere.network):
        assert not_passed(check(hosts)) == UNSEEN | {"websocket": "fail"}
        # One that should run and does not answer is told as that, and nobody takes its place.
        configure(web, hosts.web_settings(server={"host": f"https://{elsewhere.address}", "port": 8079}))
        assert not_passed(check(hosts)) == {"public address": "fail"}
        serve(hosts, elsewhere.address)
        web.run(["systemctl", "stop", "wandb-local.service"])
        assert not_passed(check(hosts)) == {"public address": "note", "websocket": "fail"}
    # The port is the server's again.
    web.run(["systemctl", "start", "wandb-local.service"])
