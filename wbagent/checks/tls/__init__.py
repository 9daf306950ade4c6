"""Checks of the area "tls": the certificate and the TLS that users meet at the address in [server] host."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock

from wbagent.checks.check import Check, Finding, Subject, fail, note, passed, unconfigured
from wbagent.checks.fronts import Need, front_of, local, remedy
from wbagent.checks.public import AwayError, Public
from wbagent.checks.tls import verdict
from wbagent.checks.tls.look import Shown, look
from wbagent.config import Settings
from wbagent.config.server import ServerSettings

_TLS = "TLS"
_Judge = Callable[[Public, Shown, verdict.Lines], Finding]


def checks(settings: Settings) -> Sequence[Check]:
    """All of them for https; one for http."""
    server = settings.server
    if server is None:
        return (unconfigured("certificate", "[server] host is not set", "wbagent init, or write [server]"),)
    public = Public(server.host)
    if not public.secure:
        return (Check("https", lambda _: verdict.of_scheme(public), "whoever reads the network reads API keys", _TLS),)
    limits = settings.monitor.certificate
    looking = _Look(public, settings, server)

    def check(name: str, judge: _Judge, why: str) -> Check:
        return Check(name, partial(looking.judged, judge), why, _TLS)

    return (
        Check("https", looking.answers, "nobody can use the server without it", _TLS),
        check("authority", verdict.of_chain, "clients and browsers refuse a certificate that nobody they trust signed"),
        check("name", lambda at, shown, _: verdict.of_name(at, shown), "one for another name is refused"),
        check(
            "expiry",
            lambda _, shown, __: verdict.of_expiry(shown, limits, time.time()),
            "from that second on every client is refused, and runs lose what they log",
        ),
        check("versions", lambda _, shown, lines: verdict.of_versions(shown, lines), "TLS 1.0 and 1.1 are broken"),
        check(
            "HSTS", lambda _, shown, lines: verdict.of_hsts(shown, lines), "the first request could be read and changed"
        ),
    )


class _Look:
    """One look for all checks: what was seen, or why nothing was."""

    def __init__(self, public: Public, settings: Settings, server: ServerSettings) -> None:
        self._public = public
        self._authorities = settings.monitor.certificate.authorities
        self._server, self._reachable = server, settings.monitor.outside.enabled
        self._lock = Lock()
        self._seen: Shown | None = None

    def answers(self, _: Subject) -> Finding:
        """The first check: it looks, and fails for all of them when nobody answers."""
        public = self._public
        try:
            shown = look(public, self._authorities)
        except AwayError as error:
            if not self._reachable:
                return note(f"{error.message}; by [monitor.outside] enabled = false this host need not reach it")
            return fail(
                f"{error.message}; certificate and versions were not looked at",
                needed=f"a load balancer with TLS at {public.host}:{public.port}",
                remedy=f"curl -v {public.url}/ready (is the load balancer up, is its port open?)",
            )
        with self._lock:
            self._seen = shown
        return passed(f"{public.host}:{public.port} answers with TLS")

    def judged(self, judge: _Judge, _: Subject) -> Sequence[Finding]:
        """One verdict on what was seen, none where nothing was."""
        with self._lock:
            shown = self._seen
        return () if shown is None else (judge(self._public, shown, self._lines),)

    def _lines(self, need: Need) -> str:
        return remedy(need, front_of(self._public, self._server), self._public, local(self._server).named)
