"""Checks of the area "proxy": what the load balancer before the server does to requests and answers on their way.

Looked at through the address in [server] host, from this host: what goes in there, and what of it reaches the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Final

from wbagent.checks.check import Check, Finding, Subject, Verdict, note, unconfigured
from wbagent.checks.fronts import Front, Need, at_this_host, front_of, local, remedy
from wbagent.checks.proxy import measure, verdict
from wbagent.checks.proxy.head import Head
from wbagent.checks.proxy.opening import Opened, open_way
from wbagent.checks.public import AwayError, Public
from wbagent.config import Settings
from wbagent.config.server import ServerSettings

_SECTION: Final = "Load balancer"
# Beyond the 10 s that HAProxy's examples have; who waits so long mostly waits for much longer.
_PATIENCE_S: Final = 12.0
_UPLOAD_S: Final = 30.0
_SIZES: Final = {"10 MB": 10**7, "100 MB": 10**8}


def checks(settings: Settings, patience_s: float = _PATIENCE_S) -> Sequence[Check]:
    """Those that apply; `patience_s`: for how long a silence is tried."""
    server = settings.server
    if server is None:
        return (unconfigured("public address", "[server] host is not set", "wbagent init, or write [server]"),)
    public = Public(server.host)
    if not public.secure and public.port == server.port and at_this_host(public):
        found = f"{public.url} is the server itself: there is no load balancer"
        return (
            unconfigured("public address", found, "put one with TLS before it, and name its address in [server] host"),
        )
    area = _Area(server, public, reachable=settings.monitor.outside.enabled)
    why_body = "runs log large requests; wandb verify sends 10 MB"
    return (
        Check("public address", area.opened, "all clients come this way", _SECTION, time_limit_s=40.0),
        Check("websocket", area.websocket, "live pages stand still without it", _SECTION),
        Check("Host", area.host, "uploads to signed URLs answer 403 when it is changed", _SECTION),
        Check("forwarded", area.forwarded, "links, cookies and the audit log need to know how users came", _SECTION),
        *(
            Check(f"body of {name}", partial(area.body, count), why_body, "Verify", time_limit_s=2 * _UPLOAD_S + 15)
            for name, count in _SIZES.items()
        ),
        Check("streams", area.streams, "logs and progress come late, in lumps", _SECTION),
        Check("time-outs", partial(area.patience, patience_s), "long requests are cut", _SECTION, patience_s * 2 + 30),
        Check("redirect", area.redirect, "a password typed at http:// goes over the network in clear", _SECTION),
    )


class _Area:
    """One way to look for all checks: opened by the first, closed by the last or when all is interrupted."""

    def __init__(self, server: ServerSettings, public: Public, *, reachable: bool) -> None:
        self._reachable = reachable
        self._server, self._public, self._local = server, public, local(server)
        self._open: Opened | None = None
        self._head: Head | None = None
        self._stack = ExitStack()

    def opened(self, subject: Subject) -> Iterable[Finding]:
        """The first check: it fails for all of them when there is nothing behind the public address."""
        opened = open_way(self._server, self._public, subject, self._stack)
        if isinstance(opened, Finding):
            return [opened]
        found = [opened.told] if opened.told else []
        try:
            for name in ("/healthz", "/ready"):
                path = measure.path(self._public, self._local, name, opened.witness, patient=opened.way.stopped)
                found.append(verdict.of_path(path, opened.way, self._lines))
                if found[-1].verdict is Verdict.FAIL:
                    self._stack.close()
                    return [*found, note("not looked at: what becomes of requests and answers on the way")]
        except AwayError as error:
            self._stack.close()
            silence = verdict.of_silence(error.message, self._public, self._lines, reachable=self._reachable)
            told_by_tls = silence.verdict is Verdict.FAIL and self._public.secure and not error.connected
            return [*found, subject.left_to("tls", silence) if told_by_tls else silence]
        self._open = opened
        return found

    def body(self, count: int, _: Subject) -> Iterable[Finding]:
        """A large request."""
        if self._open is None:
            return []
        big = measure.big(self._public, self._local, count, _UPLOAD_S)
        return [verdict.of_upload(big, self._lines, embedded=self._server.embedded)]

    def websocket(self, _: Subject) -> Iterable[Finding]:
        """A websocket's handshake."""
        if self._open is None:
            return []
        head, answer = measure.handshake(self._public, self._open.witness)
        return [verdict.of_upgrade(head, answer, self._open.way, self._lines)]

    def host(self, _: Subject) -> Iterable[Finding]:
        """The name that the server is called by."""
        if self._open is None:
            return []
        self._head = measure.arrived(self._public, self._open.witness)
        return [verdict.of_host(self._head, self._public, self._open.way, self._lines)]

    def forwarded(self, _: Subject) -> Iterable[Finding]:
        """What the server is told about the client."""
        if self._open is None:
            return []
        self._open.close_wire()
        return verdict.of_forwarded(self._head, self._public, self._open.way, self._lines)

    def streams(self, _: Subject) -> Iterable[Finding]:
        """An answer in pieces."""
        if self._open is None:
            return []
        substitute = self._open.substitute
        return [verdict.of_stream(measure.stream(self._public, substitute) if substitute else None, self._lines)]

    def patience(self, seconds: float, _: Subject) -> Iterable[Finding]:
        """Silences, both ways at the same time."""
        if self._open is None:
            return []
        substitute = self._open.substitute
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(measure.slow_answer, self._public, substitute, seconds) if substitute else None
            upload = measure.slow_upload(self._public, seconds)
            waits = {"uploads": upload} | ({"answers": answer.result()} if answer else {})
        return [verdict.of_wait(wait, about, self._lines) for about, wait in waits.items()]

    def redirect(self, _: Subject) -> Iterable[Finding]:
        """What http:// answers; the last check, which also lets go of what the first has opened."""
        if self._open is None or not self._public.secure:
            found = []
        else:
            found = [verdict.of_redirect(measure.redirect(self._public), self._public, self._lines)]
        self._stack.close()
        return found

    @cached_property
    def _front(self) -> Front | None:
        return front_of(self._public, self._server)

    def _lines(self, need: Need) -> str:
        upstream = self._open.way.upstream if self._open else self._local.named
        return remedy(need, self._front, self._public, upstream)
