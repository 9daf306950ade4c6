"""Opens the way to look at a load balancer: on the wire while the server runs, else by answering in its place."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from wbagent.checks.check import Finding, Subject, fail, note
from wbagent.checks.fronts import at_this_host, local
from wbagent.checks.host.port import taken
from wbagent.checks.proxy.facts import Way
from wbagent.checks.proxy.head import Witness, marked, new_token
from wbagent.checks.proxy.substitute import Substitute
from wbagent.checks.proxy.wire import Wire
from wbagent.checks.public import AwayError, Public
from wbagent.config.server import ServerSettings
from wbagent.errors import BusError
from wbagent.server.resolving import resolved
from wbagent.server.specification import CONTAINER_PORT
from wbagent.systemd.bus import Bus
from wbagent.systemd.unit_names import SERVER_UNIT

_CONTROL_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The way, who sees what reaches the server (None: nobody), and what a person should know about that."""

    way: Way
    witness: Witness | None = None
    substitute: Substitute | None = None
    told: Finding | None = None

    def close_wire(self) -> None:
        """Nothing more is to be read there: a large body would only be work."""
        if self.witness and not self.substitute:
            self.witness.close()


def open_way(server: ServerSettings, public: Public, subject: Subject, until: ExitStack) -> Opened | Finding:
    """The way, which is closed with `until`; a failure when the server should run and does not."""
    own = local(server)
    place = own.named if at_this_host(public) else f"{socket.gethostname()}:{server.port}"
    try:
        own.get("/healthz")
    except AwayError as error:
        return _in_its_place(server, place, subject, until, error.message)
    wire = Wire(_addresses(public), (server.port, int(CONTAINER_PORT.partition("/")[0])))
    until.enter_context(subject.scratch.removed(wire.close))
    try:
        wire.open()
    except PermissionError:
        return Opened(Way(place, blind="only root may see what reaches the server: sudo wbagent check proxy"))
    token = new_token()
    own.get("/healthz", marked(token))
    if wire.seen(token, _CONTROL_WITHIN_S) is None:
        return Opened(Way(place, blind="what reaches the server is not to be seen on this host's network interfaces"))
    return Opened(Way(place), wire)


def _in_its_place(server: ServerSettings, place: str, subject: Subject, until: ExitStack, why: str) -> Opened | Finding:
    if _is_meant_to_run():
        silent = fail(
            f"the server does not answer on this host ({why}); the load balancer was not looked at",
            needed="a server that answers, or one that is stopped: then wbagent answers in its place",
            remedy=f"wbagent check server; journalctl -u {SERVER_UNIT} -n 50",
        )
        return subject.left_to("host" if taken(subject.settings) else "server", silent)
    substitute = Substitute(server.bind, server.port)
    until.enter_context(subject.scratch.removed(substitute.close))
    try:
        substitute.open()
    except OSError as error:
        closed = fail(
            f"the server does not answer ({why}), and wbagent cannot answer in its place: {error.strerror}",
            needed=f"port {server.port} of this host for the server",
            remedy=f"ss -ltnp 'sport = :{server.port}'",
        )
        return subject.left_to("host", closed) if taken(subject.settings) else closed
    told = note(
        f"the server is stopped: wbagent answers at {server.bind}:{server.port} in its place during these checks"
    )
    return Opened(Way(place, stopped=True), substitute, substitute, told)


def _is_meant_to_run() -> bool:
    try:
        with Bus() as bus:
            return bus.properties(SERVER_UNIT)["ActiveState"] not in {"inactive", "failed"}
    except BusError:
        return False


def _addresses(public: Public) -> set[tuple[str, int]]:
    """Those of the load balancer."""
    return {(each, public.port) for each in resolved(public.host)}
