"""The way from outside: a real TLS server with certificates that expire, are refused, and answers of all kinds."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.sayable import check
from tests.testbed.address import free_port
from tests.testbed.authority import Authority, Issued
from wbagent.alerts.certificate import EXPIRY, REFUSED
from wbagent.alerts.outside import OUTSIDE, OutsideWatch, Serving
from wbagent.config import Settings
from wbagent.moment import Moment
from wbagent.monitor.outside import Doubt, Outside, Stage, ask
from wbagent.monitor.rules import Severity

DAY = 86400.0


@contextmanager
def serving(tls: ssl.SSLContext | None, status: int = 200, body: str = "ok", **headers: str) -> Iterator[int]:
    """A server on loopback; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/ready" else 404)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def finish_request(self, request: Any, client_address: Any) -> None:
            # The handshake in the thread of its own, so that one that the client breaks off holds nobody up.
            with suppress(OSError), closing(tls.wrap_socket(request, server_side=True) if tls else request) as way:
                super().finish_request(way, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is none of ours."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def look(issued: Issued, authority: Authority) -> Outside:
    with serving(issued.context()) as port:
        return ask(f"https://127.0.0.1:{port}", 10.0, [authority.certificate])


def test_a_good_certificate_and_when_it_expires(authority: Authority) -> None:
    now = datetime.now(UTC)
    found = look(authority.issue("127.0.0.1", now - timedelta(1), now + timedelta(5)), authority)
    assert found.broken is None
    assert found.said.startswith("200 ok")
    assert found.certificate
    assert found.certificate.doubt is None
    assert found.certificate.expires == pytest.approx((now + timedelta(5)).timestamp(), abs=2)


def test_what_browsers_would_refuse_has_its_reason_and_the_server_is_asked_all_the_same(authority: Authority) -> None:
    now, day = datetime.now(UTC), timedelta(1)
    other_name = look(authority.issue("wandb.example.com", now - day, now + 20 * day), authority)
    self_signed = look(authority.self_signed("127.0.0.1"), authority)
    expired = look(authority.issue("127.0.0.1", now - 2 * day, now - day), authority)
    early = look(authority.issue("127.0.0.1", now + day, now + 2 * day), authority)
    with serving(authority.issue("127.0.0.1", now - day, now + 20 * day).context()) as port:
        unknown = ask(f"https://127.0.0.1:{port}", 10.0)
    looks = (other_name, self_signed, expired, early, unknown)
    assert [found.certificate and found.certificate.doubt for found in looks] == [
        Doubt.NAME,
        Doubt.SELF_SIGNED,
        Doubt.EXPIRED,
        Doubt.EARLY,
        Doubt.CHAIN,
    ]
    assert [found.broken for found in looks] == [None] * 5
    # The date is read of one that nobody trusts as well.
    for found in (other_name, unknown):
        assert found.certificate
        assert found.certificate.expires == pytest.approx((now + 20 * day).timestamp(), abs=2)


def test_each_broken_part_of_the_way_has_its_own_name(authority: Authority) -> None:
    trust = [authority.certificate]
    assert ask("http://no-such-host.invalid", 10.0, trust).broken is Stage.NAME
    refused = ask(f"http://127.0.0.1:{free_port('127.0.0.1')}", 10.0, trust)
    assert refused.broken is Stage.REFUSED
    answers = {
        (502, "<html>Bad Gateway</html>"): (Stage.PROXY, "502 Bad Gateway"),
        (503, "draining"): (Stage.UNREADY, "503 draining"),
        (404, ""): (Stage.UNREADY, "404 Not Found"),
    }
    for (status, body), (stage, said) in answers.items():
        with serving(None, status, body) as port:
            found = ask(f"http://127.0.0.1:{port}", 10.0, trust)
            assert (found.broken, found.said.partition(" (answered by")[0]) == (stage, said)
            assert ask(f"https://127.0.0.1:{port}", 10.0, trust).broken is Stage.TLS
    with serving(None, 301, "", Location="https://elsewhere.example.com/") as port:
        found = ask(f"http://127.0.0.1:{port}", 10.0, trust)
        assert found.broken is Stage.REDIRECT
        assert "to https://elsewhere.example.com/" in found.said


def test_a_watch_tells_of_certificate_and_answer_and_of_a_stopped_server_nothing(authority: Authority) -> None:
    now = datetime.now(UTC)
    state = [Serving.YES]
    watch = OutsideWatch(lambda: state[-1])
    issued = authority.issue("127.0.0.1", now - timedelta(1), now + timedelta(2))
    with serving(issued.context(), 503, "no") as port:
        settings = Settings.model_validate(
            {
                "server": {
                    "host": f"https://127.0.0.1:{port}",
                    "image": "wandb/local:0.83.0",
                    "embedded": True,
                },
                "monitor": {"certificate": {"authorities": [str(authority.certificate)]}},
            }
        )
        seen = watch.look(settings, Moment.now())
        by_kind = {condition.kind: check(condition) for condition in seen.conditions}
        assert (by_kind[EXPIRY].value, by_kind[EXPIRY].severity) == (3.0, Severity.CRITICAL)
        assert str(by_kind[EXPIRY].facts["when"]).startswith("expires in 1 days")
        assert by_kind[REFUSED].value == 0.0
        assert by_kind[OUTSIDE].value == 1.0
        sampled = {sample.name: sample.value for sample in seen.samples}
        assert sampled["wbagent_outside_ready"] == 0.0
        assert sampled["wbagent_certificate_expiry_timestamp_seconds"] == pytest.approx(time.time() + 2 * DAY, abs=60)
        for serves, value in ((Serving.STOPPED, 0.0), (Serving.NOT_NOW, None)):
            state.append(serves)
            by_kind = {condition.kind: condition for condition in watch.look(settings, Moment.now()).conditions}
            assert by_kind[OUTSIDE].value == value
            assert by_kind[EXPIRY].value == 3.0
