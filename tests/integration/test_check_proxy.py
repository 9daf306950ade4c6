"""`wbagent check proxy` before real nginx, HAProxy and Caddy, good and bad, with a server that runs or is stopped."""

from __future__ import annotations

import socket
from functools import partial

import pytest

from tests.integration.conftest import require
from tests.integration.front_case import before, findings, line_for, new_address, verdicts
from tests.testbed.address import free_port
from tests.testbed.authority import Authority
from tests.testbed.fronts import KINDS
from tests.testbed.rootfs import FRONTS
from tests.testbed.standin import web
from wbagent.checks import proxy
from wbagent.checks.check import Finding

_PATIENCE_S = 2.0
# With a port that is not the usual one, Host is more than a name.
_PORT = 8443

PATHS = {"public address: /healthz": "pass", "public address: /ready": "pass"}
BODIES = {"body of 10 MB: 10 MB": "pass", "body of 100 MB: 100 MB": "pass"}
HEADERS = {
    "websocket": "pass",
    "Host": "pass",
    "forwarded: X-Forwarded-Proto": "pass",
    "forwarded: X-Forwarded-For": "pass",
    "forwarded: X-Forwarded-Host": "pass",
}
RUNNING = (
    PATHS
    | BODIES
    | HEADERS
    | {
        "streams": "note",
        "time-outs: answers": "note",
        "time-outs: uploads": "pass",
        "redirect": "pass",
    }
)
STOPPED = RUNNING | {"public address": "note", "streams": "pass", "time-outs: answers": "pass"}


@pytest.fixture(scope="module")
def running() -> int:
    """The port of the stand-in's web server, in this process."""
    require(FRONTS)
    port = free_port("127.0.0.1")
    server = web.Server(port)
    server.start()
    server.become_ready()
    return port


@pytest.fixture
def stopped() -> int:
    """The port of a server that is stopped."""
    require(FRONTS)
    return free_port("127.0.0.1")


@pytest.fixture
def address() -> str:
    """One of this test alone."""
    return new_address()


def check(url: str, port: int) -> dict[str, Finding]:
    return findings(partial(proxy.checks, patience_s=_PATIENCE_S), url, port=port)


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_well_with_a_server_that_runs(kind: str, running: int, address: str, authority: Authority) -> None:
    with before(kind, f"127.0.0.1:{running}", address, authority.issue(address), port=_PORT) as url:
        found = check(url, running)
    assert verdicts(found) == RUNNING
    assert found["Host"].found.endswith(f"{address}:{_PORT}")
    assert "wandb-local stopped" in found["streams"].remedy


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_well_with_a_server_that_is_stopped(kind: str, stopped: int, address: str, authority: Authority) -> None:
    with before(kind, f"127.0.0.1:{stopped}", address, authority.issue(address)) as url:
        found = check(url, stopped)
    assert verdicts(found) == STOPPED
    # The port is free again.
    with socket.create_server(("127.0.0.1", stopped)):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_bad_with_a_server_that_runs(kind: str, running: int, address: str, authority: Authority) -> None:
    wrong = {"body_limit": 10**6, "upgrade": False, "host": "portless", "forwarded": False, "redirect": False}
    with before(kind, f"127.0.0.1:{running}", address, authority.issue(address), port=_PORT, **wrong) as url:
        found = check(url, running)
    assert verdicts(found) == RUNNING | dict.fromkeys(BODIES, "fail") | {
        "websocket": "fail",
        "Host": "fail",
        "forwarded: X-Forwarded-Proto": "warn",
        "forwarded: X-Forwarded-For": "warn",
        "forwarded: X-Forwarded-Host": "warn",
        "redirect": "warn",
    }
    for finding in found.values():
        if finding.verdict in {"warn", "fail"}:
            assert line_for(kind, finding.remedy)


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_bad_with_a_server_that_is_stopped(kind: str, stopped: int, address: str, authority: Authority) -> None:
    wrong = {"upgrade": False, "host": "replaced", "buffering": True, "answer_within": 1}
    with before(kind, f"127.0.0.1:{stopped}", address, authority.issue(address), **wrong) as url:
        found = check(url, stopped)
    expected = STOPPED | {"websocket": "fail", "Host": "fail", "streams": "fail", "time-outs: answers": "fail"}
    assert verdicts(found) == expected
    assert "given up after 1 s" in found["time-outs: answers"].found
