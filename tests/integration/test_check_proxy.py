"""`wbagent check proxy` before real nginx, HAProxy and Caddy, good and bad, with a server that runs or is stopped."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.integration.conftest import require
from tests.integration.front_case import before, findings, line_for, new_address, ready_server, verdicts
from tests.testbed.address import free_port
from tests.testbed.authority import Authority
from tests.testbed.fronts import KINDS, Setup, front
from tests.testbed.program import Program
from tests.testbed.rootfs import FRONTS
from wbagent.checks import proxy
from wbagent.checks.check import Finding
from wbagent.checks.fronts import Front, listening
from wbagent.checks.proxy.head import marked, new_token
from wbagent.checks.proxy.substitute import Substitute
from wbagent.checks.proxy.wire import Wire
from wbagent.checks.public import Public
from wbagent.monitor.outside import Stage, ask
from wbagent.server.probe import probe

_PATIENCE_S = 1.5
# With a port that is not the usual one, Host is more than a name.
_PORT = 8443

PATHS = {"public address: /healthz": "pass", "public address: /ready": "pass"}
BODIES = {"body of 10 MB": "pass", "body of 100 MB": "pass"}
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
        "time-outs: uploads": "pass",
        "redirect": "pass",
    }
)
STOPPED = RUNNING | {"public address": "note", "streams": "pass", "time-outs: answers": "pass"}


@pytest.fixture(scope="module")
def running() -> int:
    """The port of the stand-in's web server, in this process."""
    return ready_server()


@pytest.fixture
def stopped() -> int:
    """The port of a server that is stopped."""
    require(FRONTS)
    return free_port("127.0.0.1")


@pytest.fixture
def address() -> str:
    """One of this test alone."""
    return new_address()


@pytest.fixture
def another() -> int:
    """The port of a server of somebody else."""
    return ready_server()


def check(url: str, port: int, *, beside: str = "area") -> dict[str, Finding]:
    return findings(partial(proxy.checks, patience_s=_PATIENCE_S), url, port=port, beside=beside)


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_well_with_a_server_that_runs(kind: str, running: int, address: str, authority: Authority) -> None:
    with before(kind, f"127.0.0.1:{running}", address, authority.issue(address), port=_PORT) as url:
        found = check(url, running)
    assert verdicts(found) == RUNNING
    assert found["Host"].found.endswith(f"{address}:{_PORT}")
    assert "systemctl stop wandb-local" in found["streams"].remedy


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_well_with_a_server_that_is_stopped(kind: str, stopped: int, address: str, authority: Authority) -> None:
    with before(kind, f"127.0.0.1:{stopped}", address, authority.issue(address)) as url:
        found = check(url, stopped)
    assert verdicts(found) == STOPPED
    # The port is free again.
    with socket.create_server(("127.0.0.1", stopped)):
        pass


def test_another_one_with_the_port_of_another_address_is_not_taken_for_it(
    running: int, address: str, authority: Authority
) -> None:
    other, upstream = new_address(), f"127.0.0.1:{running}"
    with (
        before("nginx", upstream, other, authority.issue(other), port=_PORT) as first,
        before("haproxy", upstream, address, authority.issue(address), port=_PORT) as second,
    ):
        assert (listening(Public(first)), listening(Public(second))) == (Front.NGINX, Front.HAPROXY)


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


@pytest.mark.parametrize(
    ("kind", "sign"), [("haproxy", "is DOWN"), ("caddy", "health_checker.active.*HTTP request failed")]
)
def test_a_load_balancer_that_has_given_the_server_up_is_waited_for(
    kind: str, sign: str, stopped: int, address: str, authority: Authority
) -> None:
    setup = Setup(f"127.0.0.1:{stopped}", authority.issue(address), address=address, asks=True)
    with front(kind, setup) as program:
        program.wait_for_line(sign, 10)
        found = check(setup.url, stopped)
    assert verdicts(found) == STOPPED


def test_who_answers_in_the_servers_place_serves_load_balancers_only(stopped: int) -> None:
    substitute = Substitute("127.0.0.1", stopped)
    substitute.open()
    try:
        url = f"http://127.0.0.1:{stopped}"
        assert Public(url).get("/healthz").status == 200
        assert Public(url).get("/").status == 503
        # To what asks whether the server is well, it is not.
        assert probe([("127.0.0.1", stopped)], "/healthz", 5.0).status == 503
        assert ask(url, 5.0).broken is Stage.UNREADY
    finally:
        substitute.close()


# What follows from that is not told too.
OTHERS = {"public address: /healthz": "fail", "public address": "note"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_load_balancer_that_reaches_nobody(kind: str, running: int, address: str, authority: Authority) -> None:
    with before(kind, f"127.0.0.1:{free_port('127.0.0.1')}", address, authority.issue(address)) as url:
        found = check(url, running)
    assert verdicts(found) == OTHERS
    assert "does not reach the server" in found["public address: /healthz"].found
    assert f"127.0.0.1:{running}" in found["public address: /healthz"].remedy
    assert line_for(kind, found["public address: /healthz"].remedy)


def test_a_load_balancer_that_reaches_somebody_else(
    running: int, another: int, address: str, authority: Authority
) -> None:
    with before("nginx", f"127.0.0.1:{another}", address, authority.issue(address)) as url:
        found = check(url, running)
    assert verdicts(found) == OTHERS
    assert "somebody else answers there" in found["public address: /healthz"].found


def test_a_login_page_before_the_server(running: int, address: str, authority: Authority) -> None:
    # What http:// answers here is what a login page answers: a redirect to elsewhere.
    with before("nginx", f"127.0.0.1:{running}", address, authority.issue(address)):
        found = check(f"http://{address}", running)
    assert verdicts(found) == OTHERS
    assert f"to https://{address}/healthz" in found["public address: /healthz"].found


def test_nobody_at_the_public_address_is_told_once(running: int, address: str) -> None:
    found = check(f"https://{address}", running)
    assert verdicts(found) == {"public address": "fail"}
    assert "nothing else was looked at" in found["public address"].found


def test_nobody_at_the_public_address_is_left_to_tls_which_does_not_see_one_without_http(
    running: int, address: str, authority: Authority
) -> None:
    url = f"https://{address}"
    assert verdicts(check(url, running, beside="tls")) == {"public address": "note"}
    served = authority.issue(address).context()
    with socket.create_server((address, 443)) as listener, served.wrap_socket(listener, server_side=True) as silent:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    silent.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert verdicts(check(url, running, beside="tls")) == {"public address": "fail"}


def test_a_port_that_somebody_else_has(address: str) -> None:
    # Takes connections and says nothing that is HTTP.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        def hang_up() -> None:
            silent.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        found = check(f"https://{address}", port)
    assert verdicts(found) == {"public address": "fail"}
    assert f"port {port} of this host" in found["public address"].needed


def test_a_server_without_load_balancer(running: int) -> None:
    found = check(f"http://127.0.0.1:{running}", running)
    assert verdicts(found) == {"public address": "note"}
    assert "there is no load balancer" in found["public address"].found


_FLOOD = """
import socket, threading
sink = socket.create_server(("127.0.0.1", 0))
def swallow():
    way = sink.accept()[0]
    while way.recv(1 << 20):
        pass
threading.Thread(target=swallow, daemon=True).start()
way = socket.create_connection(sink.getsockname())
print("flows", flush=True)
while True:
    way.sendall(bytes(1 << 20))
"""


@pytest.mark.parametrize("own", ["127.0.0.1", "::1"])
def test_a_busy_host_does_not_hide_a_request(own: str, tmp_path: Path) -> None:
    require(FRONTS)
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    with socket.create_server((own, 0), family=family) as server:
        port = server.getsockname()[1]
        wire = Wire((), (port, 8080))
        wire.open()
        flood = Program("flood", [sys.executable, "-c", _FLOOD], tmp_path / "log")
        try:
            flood.wait_for_line("flows", 10)
            for _ in range(10):
                token = new_token()
                head = "".join(f"{name}: {value}\r\n" for name, value in marked(token).items())
                with socket.create_connection((own, port)) as way:
                    way.sendall(f"GET /healthz HTTP/1.1\r\n{head}\r\n".encode())
                    seen = wire.seen(token, 5.0)
                assert seen
                assert seen.peer == own
        finally:
            flood.kill()
            wire.close()
