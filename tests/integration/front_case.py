"""A real load balancer before a server, and the findings of an area of `wbagent check` about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import randrange

from tests.integration.conftest import require
from tests.testbed.address import free_port
from tests.testbed.authority import Issued
from tests.testbed.fronts import KINDS, Setup, front
from tests.testbed.rootfs import FRONTS
from tests.testbed.standin import web
from wbagent.checks.check import Check, Finding, Subject
from wbagent.checks.run import run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings


def new_address() -> str:
    """An address of this machine that no other test uses: ports 443 and 80 are free there."""
    return f"127.{randrange(1, 255)}.{randrange(1, 255)}.{randrange(1, 255)}"


def ready_server() -> int:
    """The port of the stand-in's web server, in this process, for a load balancer to stand before."""
    require(FRONTS)
    port = free_port("127.0.0.1")
    server = web.Server(port)
    server.start()
    server.become_ready()
    return port


@contextmanager
def before(kind: str, upstream: str, address: str, certificate: Issued | None, **how: object) -> Iterator[str]:
    """A front with that certificate; its public address."""
    setup = replace(Setup(upstream, certificate, address=address), **how)  # type: ignore[arg-type]  # names of fields
    with front(kind, setup):
        yield setup.url


def findings(
    checks: Callable[[Settings], Sequence[Check]],
    url: str,
    *,
    port: int = 8080,
    authorities: Sequence[str] = (),
    beside: str = "area",
) -> dict[str, Finding]:
    """The findings by check, and by what they are about where a check has several; `beside`: another area."""
    settings = Settings.model_validate(
        {
            "server": {
                "host": url,
                "image": "wandb/local:0.83.0",
                "embedded": True,
                "bind": "127.0.0.1",
                "port": port,
            },
            "monitor": {"certificate": {"authorities": authorities}},
        }
    )
    results = run({beside: (), "area": checks(settings)}, Subject(settings, Scratch()))
    return {
        f"{result.check}: {result.finding.about}" if result.finding.about else result.check: result.finding
        for result in results
    }


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    """Only how good each is."""
    return {name: finding.verdict.value for name, finding in found.items()}


def line_for(kind: str, remedy: str) -> bool:
    """Whether it names this load balancer, and no other."""
    return [other for other in KINDS if f"{other}:" in remedy.lower()] == [kind]
