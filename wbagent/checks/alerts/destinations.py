"""Who is told: whether Apprise understands each address, and its machine takes connections. Nothing is sent."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from wbagent.alerts.destination import Destination
from wbagent.alerts.ping import label
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config.model import AlertSettings

_CONNECT_S: Final = 5.0
_TEST: Final = "wbagent alerts test  (sends a message)"
# Where Apprise's services keep the address that they post to.
_POSTED_TO: Final = ("notify_url", "cloud_notify_url", "webhook_url", "api_url")
_HTTPS, _HTTP = 443, 80


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The machine and port that a message would go to."""

    host: str
    port: int


def judge_any(to: Sequence[Destination]) -> Finding:
    """[alerts] to."""
    if not to:
        return warn(
            "nobody is told: alerts go to the journal only",
            needed="mail, Slack or anything that Apprise knows",
            remedy='[alerts] to = ["mailto://USER:PASSWORD@mail.example.com?to=ops@example.com"]',
        )
    if len(to) == 1:
        return note(f"{to[0].label} alone is told: when it is away, nobody is", remedy="a second one in [alerts] to")
    return passed(f"{len(to)} are told: {', '.join(each.label for each in to)}")


def reach(to: Destination) -> Callable[[Subject], Finding]:
    """One of them."""

    def look(_: Subject) -> Finding:
        known, endpoint = understood(to.url)
        if not known:
            return fail(
                f"Apprise does not know the form of {to.label}",
                needed="an address that Apprise can read",
                remedy="mend it in [alerts] to: https://github.com/caronc/apprise/wiki; wbagent alerts test",
            )
        if endpoint is None:
            return note(f"{to.label}: whether it can be reached shows only when something is sent", remedy=_TEST)
        return judge_reach(to.label, endpoint, connect(endpoint))

    return look


def understood(url: str) -> tuple[bool, Endpoint | None]:
    """Whether Apprise can read it, and where it would connect to, as far as that is to be seen."""
    import apprise  # noqa: PLC0415 - half a second that only this area needs

    logging.getLogger("apprise").disabled = True
    service = apprise.Apprise.instantiate(url)
    return service is not None, endpoint_of(service) if service is not None else None


def endpoint_of(service: Any) -> Endpoint | None:
    """What a service of Apprise's says of where it sends to; a host without a dot may be a token."""
    host, port = str(service.host or ""), service.port
    mail = getattr(service, "smtp_host", None)
    if mail:
        return Endpoint(str(mail), int(port or 25))
    posted = next((url for name in _POSTED_TO if isinstance(url := getattr(service, name, None), str) and url), "")
    if posted and "." not in host:
        parts = urlsplit(posted)
        return Endpoint(parts.hostname, parts.port or _HTTPS) if parts.hostname else None
    if not host or not Destination.of(service.url()).label.removesuffix(f":{port}").endswith(f"://{host.lower()}"):
        return None
    return Endpoint(host, int(port or (_HTTPS if service.secure else _HTTP)))


def connect(endpoint: Endpoint) -> str:
    """Why no connection can be had, or ""."""
    try:
        socket.create_connection((endpoint.host, endpoint.port), _CONNECT_S).close()
    except TimeoutError:
        return f"no connection within {_CONNECT_S:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def judge_reach(name: str, endpoint: Endpoint, problem: str) -> Finding:
    """A machine that takes a connection may still refuse the message."""
    if problem:
        return fail(
            f"{name}: {endpoint.host}:{endpoint.port}: {problem}",
            needed="a connection; nothing was sent",
            remedy="see whether it runs, and the firewall in between; then: wbagent alerts test",
        )
    return passed(f"{name}: {endpoint.host}:{endpoint.port} takes connections")


def pings(alerts: AlertSettings) -> Callable[[Subject], Iterator[Finding]]:
    """[alerts] ping_agent and ping_backup."""

    def look(_: Subject) -> Iterator[Finding]:
        for name, url in (("ping_agent", alerts.ping_agent), ("ping_backup", alerts.ping_backup)):
            yield judge_ping(name, url)

    return look


def judge_ping(name: str, url: SecretStr | None) -> Finding:
    """One of the two addresses; it is not called, which would be a sign of life."""
    if url is None:
        what = "this host dies" if name == "ping_agent" else "backups stop"
        return note(
            f"nobody elsewhere notices when {what}",
            needed="a dead man's switch elsewhere, as of Healthchecks",
            remedy=f'[alerts] {name} = "https://hc-ping.com/UUID"',
            about=name,
        )
    parts = urlsplit(url.get_secret_value())
    endpoint = Endpoint(parts.hostname or "", parts.port or (_HTTPS if parts.scheme == "https" else _HTTP))
    if problem := connect(endpoint):
        return fail(
            f"{label(url)}: {problem}",
            needed="a connection",
            remedy="see whether it runs, and the firewall in between",
            about=name,
        )
    return passed(f"{label(url)} takes connections", about=name)
