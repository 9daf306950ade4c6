"""Whether the store answers, by trusted TLS, at an address that users reach too, with a clock that is right."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import psutil

from wbagent.alerts.certificate import step
from wbagent.bucket.plain_http import send
from wbagent.bucket.signing import SignedUrl, host_of
from wbagent.checks.bucket.store import Store
from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.config.connection_string import with_port
from wbagent.config.monitor import CertificateSettings
from wbagent.monitor.outside import Doubt, Outside, Stage, ask
from wbagent.quantities import format_duration
from wbagent.server.resolving import Unseen, in_hosts_file, look_up, resolved, unseen

_TIMEOUT_S: Final = 10.0
# S3 refuses a request that is signed 15 minutes off. A minute is more than any host that asks a time server is off.
_REFUSED_S: Final = 900.0
_LATE_S: Final = 60.0
_DAY_S: Final = 86400.0
# Of `step`: the last days before a certificate ends.
_CRITICAL: Final = 3
_ONLY_HERE: Final = re.compile(r"(localhost|.*\.localhost|.*\.docker\.internal|.*\.svc(\.cluster\.local)?)\.?")
_DOCKER: Final = re.compile(r"docker\d+|br-[0-9a-f]{12}")
_REACHED: Final = "a name or address of the store that the browsers of all users reach"
_AS_USERS: Final = (
    "name the store in [server] bucket as users reach it, such as minio.example.com: URLs are signed for that"
)
_MENDS: Final = {
    Stage.NAME: "mend the name in [server] bucket, or add it to the DNS",
    Stage.REFUSED: "see that the store runs, and the port in [server] bucket",
    Stage.SILENT: "see the store, firewall and route",
    Stage.BROKEN: "see that it is an S3 store; tls=true in [server] bucket when it speaks TLS",
    Stage.TLS: "see that it speaks TLS there: the port, and tls= in [server] bucket",
}
_DOUBTS: Final = {
    Doubt.SELF_SIGNED: "self-signed certificates are not supported: take one of an authority that browsers know",
    Doubt.CHAIN: (
        "let the store send the whole chain; for an authority of your own, its certificate (PEM) into"
        " /usr/local/share/ca-certificates/NAME.crt, then: update-ca-certificates; the same on users' machines,"
        " and [server] ca_certificates"
    ),
    Doubt.EXPIRED: "renew the store's certificate",
    Doubt.EARLY: "see this host's clock: timedatectl status",
    Doubt.NAME: "use the name that the certificate is for in [server] bucket, or take one for this name",
}


def reachable(store: Store, subject: Subject) -> Iterator[Finding]:
    """The endpoint: name, connection, TLS."""
    host, port = host_of(store.url)
    address = f"{'https' if store.url.tls else 'http'}://{with_port(host, port)}"
    seen = ask(address, _TIMEOUT_S)
    limits, by_tls = subject.settings.monitor.certificate, store.host.startswith("https:")
    yield from judge_endpoint(address, seen, limits, now=store.now(), pages_by_tls=by_tls)
    if seen.broken in _MENDS:
        store.closed = "the store does not answer"
    elif _wants_tls(seen):
        store.closed = "the store wants TLS"
    elif seen.certificate and seen.certificate.doubt:
        store.closed = "the store's certificate is refused"


def judge_endpoint(
    address: str, seen: Outside, limits: CertificateSettings, *, now: float, pages_by_tls: bool
) -> Iterator[Finding]:
    """What one look at the endpoint means; whatever an S3 store answers to a stranger is good here.

    `limits`: the days of the alerts on the server's own certificate, as in the area tls.
    """
    if seen.broken in _MENDS:
        yield fail(f"{address}: {seen.said}", needed="an S3 store that answers", remedy=_MENDS[seen.broken])
        return
    if _wants_tls(seen):
        remedy = "tls=true in [server] bucket, with the port of HTTPS"
        yield fail(f"{address}: {seen.said}: the store wants TLS", needed="https", remedy=remedy)
        return
    if seen.certificate is None:
        mixed = ", and a page that came by https may not load them at all" if pages_by_tls else ""
        yield warn(
            f"{address} answers, without TLS: files and signed URLs can be read on their way{mixed}",
            needed="https",
            remedy="give the store a certificate, then tls=true in [server] bucket",
        )
        return
    if seen.certificate.doubt:
        yield fail(
            f"{address}: the certificate is refused: {seen.certificate.said}",
            needed="a certificate that every browser trusts",
            remedy=_DOUBTS.get(seen.certificate.doubt, "renew the store's certificate"),
        )
        return
    left = seen.certificate.expires - now if seen.certificate.expires else None
    if left is not None and (urgency := step(limits, left)):
        yield (fail if urgency >= _CRITICAL else warn)(
            f"{address}: the certificate expires in {max(left / _DAY_S, 0):.0f} days",
            needed=f"more than {limits.warn_days:g} days left: whatever renews it should have done so",
            remedy="renew the store's certificate",
        )
        return
    yield passed(f"{address} answers in {seen.seconds * 1000:.0f} ms, its certificate is trusted")


def _wants_tls(seen: Outside) -> bool:
    """Whether it was asked without TLS and sends elsewhere for it, or says so, as Go's servers do."""
    redirected = seen.broken is Stage.REDIRECT and "https://" in seen.said
    return seen.certificate is None and (redirected or "HTTPS" in seen.said)


@dataclass(frozen=True, slots=True)
class Address:
    """Where signed URLs point to, and what this host knows of that.

    `hosts_file`: the name is in this host's own /etc/hosts; `docker`: an address is in a network of this host's Docker;
    `outside`: users come to HOST by an address of the Internet; `unseen`: what keeps the server itself from it.
    """

    name: str
    addresses: tuple[str, ...]
    hosts_file: bool = False
    docker: bool = False
    outside: bool = False
    unseen: Unseen | None = None


def for_users(store: Store, _: Subject) -> Iterator[Finding]:
    """Whether users' browsers can follow the URLs that the server signs: they hold the connection string's address."""
    if store.url.host is None:
        yield passed("signed URLs point to Amazon's own address")
        return
    name = host_of(store.url)[0]
    addresses = resolved(name)
    if addresses:
        docker = any(_in_docker(address) for address in addresses)
        host = resolved(urlsplit(store.host).hostname or "")
        outside = any(ipaddress.ip_address(address).is_global for address in host)
        unreached = unseen(look_up(name))
        yield judge_address(Address(name, addresses, in_hosts_file(name), docker, outside, unreached))


def judge_address(address: Address) -> Finding:
    """Whether an address is one for others than this host."""
    name, found = address.name, [ipaddress.ip_address(each) for each in address.addresses]
    if address.unseen or address.docker or any(each.is_loopback for each in found):
        return _of_this_host(address, any(each.is_loopback for each in found))
    if _ONLY_HERE.fullmatch(name.lower()):
        return _of_containers(name)
    shown = name if name in address.addresses else f"{name} ({', '.join(address.addresses)})"
    if address.hosts_file:
        return warn(
            f"signed URLs point to {name}, which this host knows from its own /etc/hosts",
            needed="a name that users' machines resolve too",
            remedy=f"add {name} to the DNS that users ask",
        )
    if "." not in name and ":" not in name:
        return warn(
            f"signed URLs point to {name}, a name without a domain: who is in another domain does not resolve it",
            needed="a whole name",
            remedy="write the whole name in [server] bucket, such as minio.example.com",
        )
    if address.outside and not any(each.is_global for each in found):
        return warn(
            f"signed URLs point to {shown}, an address of private networks, while HOST is on the Internet",
            needed="that all users of HOST reach the store too",
            remedy=_AS_USERS,
        )
    return passed(f"signed URLs point to {shown}")


def _of_this_host(address: Address, loopback: bool) -> Finding:
    """Of an address that the server's own container may not even know."""
    name = address.name
    if loopback:
        said = f"signed URLs point to {name}: in a browser, and in the server's container, that is that machine itself"
        return fail(said, needed=_REACHED, remedy=_AS_USERS)
    if address.docker or address.unseen is None:
        return _of_containers(name)
    verdict = fail if address.unseen.sure else warn
    return verdict(
        f"signed URLs point to {name}: {address.unseen.said}",
        needed="a name that the server's container and users' machines resolve",
        remedy=f"add {name} to the DNS that users and containers ask; or {_AS_USERS}",
    )


def _of_containers(name: str) -> Finding:
    said = f"signed URLs point to {name}, which only containers of this host reach"
    return fail(said, needed=_REACHED, remedy=_AS_USERS)


def clocks(store: Store, _: Subject) -> Iterator[Finding]:
    """The store's Date header against this host."""
    host, port = host_of(store.url)
    before = store.now()
    date = send(SignedUrl(store.url.tls, host, port, "/", {}), "GET", trust=store.trust).date
    if date is None:
        yield note("the store sends no Date, so its clock was not compared")
        return
    yield (finding := judge_clock(date - (before + store.now()) / 2))
    if finding.verdict == "fail":
        store.closed = "the clocks differ"


def judge_clock(ahead: float) -> Finding:
    """By how many seconds the store's clock may be ahead of this host's (or behind it); Date tells whole seconds."""
    if abs(ahead) <= _LATE_S:
        return passed("the store's clock and this host's agree" + (f" to {abs(ahead):.0f} s" if abs(ahead) > 2 else ""))
    minutes = round(abs(ahead) / 60) * 60.0
    said = f"the store's clock is {format_duration(minutes)} {'ahead of' if ahead > 0 else 'behind'} this host's"
    remedy = "see both clocks: timedatectl status; systemctl enable --now systemd-timesyncd"
    if abs(ahead) < _REFUSED_S:
        return warn(f"{said}; from 15 minutes on it refuses everything", needed="clocks that agree", remedy=remedy)
    return fail(f"{said}: it refuses what is signed here", needed="a difference below 15 minutes", remedy=remedy)


def _in_docker(address: str) -> bool:
    return any(
        ipaddress.ip_address(address) in ipaddress.ip_network(f"{own.address}/{own.netmask}", strict=False)
        for interface, all_own in psutil.net_if_addrs().items()
        if _DOCKER.fullmatch(interface)
        for own in all_own
        if own.family is socket.AF_INET and own.netmask
    )
