"""What is said of what a load balancer does."""

from __future__ import annotations

from types import ModuleType

import pytest

from wbagent.checks import proxy, tls
from wbagent.checks.check import Subject
from wbagent.checks.fronts import Need
from wbagent.checks.proxy import verdict
from wbagent.checks.proxy.facts import Big, Path, Redirect, Wait, Way
from wbagent.checks.proxy.head import Head
from wbagent.checks.public import Answer, Public, Upload
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings

PUBLIC = Public("https://wandb.example.com:8443")
WAY = Way("10.0.0.1:8080")
BLIND = Way("10.0.0.1:8080", blind="only root may see it")
OK = Answer(200, {})


def lines(need: Need) -> str:
    return f"<{need}>"


def head(**fields: str) -> Head:
    own = {"host": PUBLIC.named, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return Head("GET / HTTP/1.1", tuple(own.items()))


@pytest.mark.parametrize(
    ("status", "arrived", "same", "way", "expected", "said"),
    [
        (200, True, True, WAY, "pass", "reaches this host's server"),
        # A server that is not ready is still this one.
        (503, True, True, WAY, "pass", "503"),
        (200, False, True, WAY, "fail", "somebody else answers there"),
        (502, False, False, WAY, "fail", "does not reach the server"),
        (302, False, False, WAY, "fail", "instead of the server's answer"),
        (401, False, False, WAY, "fail", "known callers"),
        (200, None, True, BLIND, "pass", "as by this host's server"),
        (200, None, False, BLIND, "fail", "somebody else answers there"),
    ],
)
def test_whose_answer_it_is(status: int, arrived: bool | None, same: bool, way: Way, expected: str, said: str) -> None:
    found = verdict.of_path(Path("/healthz", Answer(status, {}), arrived, same), way, lines)
    assert found.verdict == expected
    assert said in found.found


def test_a_host_that_need_not_reach_its_public_address() -> None:
    verdicts = [
        verdict.of_silence("refused", PUBLIC, lines, reachable=reachable).verdict for reachable in (True, False)
    ]
    assert verdicts == ["fail", "note"]


@pytest.mark.parametrize("area", [proxy, tls])
def test_without_a_server_there_is_nothing_to_look_at(area: ModuleType) -> None:
    (only,) = area.checks(Settings())
    found = only.run(Subject(Settings(), Scratch()))
    assert (found.verdict, found.found) == ("note", "[server] host is not set")


TEN, HUNDRED = 10_000_060, 100_000_060


@pytest.mark.parametrize(
    ("through", "direct", "embedded", "expected"),
    [
        (Upload(TEN, TEN, Answer(401, {})), None, False, "pass"),
        (Upload(TEN, 0, Answer(413, {})), Upload(TEN, TEN, OK), False, "fail"),
        # The server itself refuses: no fault of the load balancer.
        (Upload(TEN, 0, Answer(413, {})), Upload(TEN, TEN, Answer(413, {})), False, "pass"),
        (Upload(TEN, 65536, None, "Connection reset by peer"), Upload(TEN, TEN, OK), False, "fail"),
        (Upload(TEN, 65536, Answer(502, {})), Upload(TEN, TEN, OK), False, "fail"),
        (Upload(HUNDRED, 0, Answer(413, {})), Upload(HUNDRED, HUNDRED, OK), False, "warn"),
        (Upload(HUNDRED, 0, Answer(413, {})), Upload(HUNDRED, HUNDRED, OK), True, "fail"),
        (Upload(HUNDRED, 20_000_000), None, True, "note"),
    ],
)
def test_large_requests(through: Upload, direct: Upload | None, embedded: bool, expected: str) -> None:
    assert verdict.of_upload(Big(through, direct, 30.0), lines, embedded=embedded).verdict == expected


@pytest.mark.parametrize(
    ("seen", "status", "way", "expected"),
    [
        (head(upgrade="websocket", connection="keep-alive, Upgrade"), 400, WAY, "pass"),
        (head(upgrade="websocket", connection="close"), 400, WAY, "fail"),
        (head(connection="upgrade"), 400, WAY, "fail"),
        (head(upgrade="websocket", connection="upgrade"), 200, Way("", stopped=True), "fail"),
        (head(upgrade="websocket", connection="upgrade"), 101, Way("", stopped=True), "pass"),
        (None, 101, BLIND, "pass"),
        (None, 404, BLIND, "note"),
    ],
)
def test_websocket(seen: Head | None, status: int, way: Way, expected: str) -> None:
    assert verdict.of_upgrade(seen, Answer(status, {}), way, lines).verdict == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (head(), "pass"),
        (head(host="WANDB.example.com:8443"), "pass"),
        (head(host="wandb.example.com"), "fail"),
        (head(host="backend"), "fail"),
        (None, "note"),
    ],
)
def test_host(seen: Head | None, expected: str) -> None:
    assert verdict.of_host(seen, PUBLIC, BLIND, lines).verdict == expected


def forwarded(seen: Head | None) -> list[str]:
    return [str(found.verdict) for found in verdict.of_forwarded(seen, PUBLIC, BLIND, lines)]


def test_forwarded() -> None:
    own = {"x_forwarded_proto": "https", "x_forwarded_for": "10.0.0.9", "x_forwarded_host": PUBLIC.named}
    assert forwarded(head(**own)) == ["pass"] * 3
    # Two load balancers, the second of which is spoken to in clear.
    assert forwarded(head(**own | {"x_forwarded_proto": "https, http"})) == ["pass"] * 3
    assert forwarded(head(**own | {"x_forwarded_proto": "http"})) == ["warn", "pass", "pass"]
    assert forwarded(head(**own | {"x_forwarded_host": "backend"})) == ["pass", "pass", "warn"]
    # Host itself says it, so that nobody misses the other.
    assert forwarded(head()) == ["warn", "warn", "pass"]
    assert forwarded(head(host="backend")) == ["warn", "warn", "warn"]
    assert forwarded(None) == ["note"]


def test_streams_and_waits() -> None:
    assert [verdict.of_stream(seen, lines).verdict for seen in (True, False, None)] == ["pass", "fail", "note"]
    waits = (Wait(15.0), Wait(10.0, "504 Gateway Time-out"))
    assert [verdict.of_wait(wait, "answers", lines).verdict for wait in waits] == ["pass", "fail"]


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (Answer(301, {"location": "https://wandb.example.com:8443/healthz"}), "pass", "leads to"),
        (Answer(308, {"location": "https://wandb.example.com/healthz"}), "warn", "leads to https://wandb.example.com/"),
        (Answer(302, {"location": "http://elsewhere/"}), "warn", "instead of leading to https"),
        (OK, "warn", "200 OK instead"),
        (None, "note", "refused"),
    ],
)
def test_redirect(answer: Answer | None, expected: str, said: str) -> None:
    found = verdict.of_redirect(Redirect(answer, "refused"), PUBLIC, lines)
    assert found.verdict == expected
    assert said in found.found
