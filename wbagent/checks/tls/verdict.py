"""What is good and bad about the certificate and the TLS of the public address: pure decisions."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from typing import Final

from wbagent.alerts.certificate import step
from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.fronts import Need
from wbagent.checks.public import Public
from wbagent.checks.tls.look import Shown
from wbagent.config.monitor import CertificateSettings
from wbagent.monitor.outside import Doubt

# What mends a need, as lines for the load balancer.
Lines = Callable[[Need], str]
_DAY_S: Final = 86400.0
_MODERN: Final = frozenset({"TLS 1.2", "TLS 1.3"})
_VALID: Final = "a certificate that every client trusts"
# RFC 2606, RFC 6762, RFC 8375, RFC 9476, and what ICANN has set aside: no public authority signs for them.
_OF_NOBODY: Final = frozenset(
    {"test", "example", "invalid", "localhost", "local", "internal", "alt", "onion", "home", "corp", "mail", "lan"}
    | {"intranet", "private", "arpa"}
)


def certificate_for(host: str) -> str:
    """How to come by a certificate; of a public authority only for what one of them signs."""
    own = "a certificate of your own authority, its root on every machine with a browser or the wandb client"
    if has_public_name(host):
        return f"certbot certonly --standalone -d {host} (needs port 80 open to the internet), or {own}"
    return f"{own}; or a public name in [server] host, for which Let's Encrypt gives one (not for {host})"


def has_public_name(host: str) -> bool:
    """Whether it is a name below a public top-level domain: neither an address nor one for an own network."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.rstrip(".").lower().split(".")
        return len(labels) > 1 and labels[-1] not in _OF_NOBODY
    return False


def of_scheme(public: Public) -> Finding:
    """An address without TLS."""
    return warn(
        f"[server] host is {public.url}: passwords, API keys and data go over the network in clear",
        needed="https:// with a valid certificate at the load balancer; the server itself does no TLS",
        remedy=f'get a certificate, then host = "https://{public.host}" under [server] and '
        "systemctl restart wandb-local",
    )


def of_chain(public: Public, shown: Shown, lines: Lines) -> Finding:
    """Who vouches for the certificate, for those who have this host's trust. Dates and names are judged elsewhere."""
    doubt = shown.doubt
    if doubt is Doubt.SELF_SIGNED or shown.own:
        here = ", though this host has been told to trust it" if doubt is None else ""
        return fail(
            f"the certificate is self-signed, which W&B does not support: its clients refuse it{here}",
            needed=_VALID,
            remedy=certificate_for(public.host),
        )
    if doubt in {None, Doubt.EXPIRED, Doubt.EARLY}:
        return _trusted(shown)
    if shown.privately:
        return note(
            f"signed by {shown.issuer}, which this host does not trust, but [monitor.certificate] authorities does",
            needed="every machine that runs the wandb client must trust it too",
            remedy="on each: export REQUESTS_CA_BUNDLE=AUTHORITY.pem SSL_CERT_FILE=AUTHORITY.pem",
        )
    if doubt is Doubt.CHAIN and shown.count == 1:
        return fail(
            f"the chain is incomplete: the certificate is shown alone, and this host does not know {_issuer(shown)}. "
            "Browsers may fetch what is missing; Python's clients do not",
            needed="the certificates of the intermediate authorities are shown too",
            remedy=lines(Need.CHAIN),
        )
    if doubt is Doubt.CHAIN:
        return fail(
            f"signed by {_issuer(shown)}, which leads to no authority that this host trusts ({shown.said})",
            needed=_VALID,
            remedy="where that is your own authority: cp AUTHORITY.pem /usr/local/share/ca-certificates/own.crt && "
            "update-ca-certificates, here and on every machine that runs the wandb client",
        )
    return fail(
        f"refused: {shown.said}", needed=_VALID, remedy=f"openssl s_client -connect {public.host}:{public.port}"
    )


def _trusted(shown: Shown) -> Finding:
    signed = f"signed by {_issuer(shown)}, which this host trusts"
    if not shown.strictly:
        return passed(signed)
    return warn(
        f"{signed}, but Python's clients since 3.13 do not: {shown.strictly}",
        needed="what RFC 5280 asks of certificates",
        remedy="openssl x509 -noout -text -in fullchain.pem; sign it anew with authorityKeyIdentifier, and the "
        "authority's own with basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign",
    )


def of_name(public: Public, shown: Shown) -> Finding:
    """Whether it is for the name that users open."""
    if shown.fits:
        return passed(f"it is for {public.host}")
    others = ", ".join(shown.names[:5]) or "no name at all"
    return fail(
        f"the certificate is for {others}, not for {public.host}: browsers and clients refuse it",
        needed=f"{public.host} among its names (subjectAltName)",
        remedy=f"{certificate_for(public.host)}; or mend [server] host if users open another",
    )


def of_expiry(shown: Shown, limits: CertificateSettings, now: float) -> Finding:
    """How long it is valid yet, with the days of the alerts on that. The intermediate's end counts as the whole's."""
    if shown.doubt is Doubt.EARLY:
        return fail(
            "it is not valid yet",
            needed="a certificate that has begun, and a right clock",
            remedy="timedatectl (on this host and on the load balancer's)",
        )
    if shown.expires is None:
        return note(f"its last day cannot be read ({shown.said})")
    days = int((shown.expires - now) // _DAY_S)
    date = time.strftime("%Y-%m-%d", time.localtime(shown.expires))
    urgency = step(limits, shown.expires - now)
    found = f"it expires in {days} days, on {date}"
    if urgency == 4:
        found = f"it expired on {date}"
    elif shown.doubt is Doubt.EXPIRED:
        found, urgency = "the certificate of an authority above it has expired", 4
    if not urgency:
        return passed(found)
    return (fail if urgency >= 3 else warn)(
        found,
        needed=f"more than {limits.warn_days} days, or a renewal that comes by itself",
        remedy="certbot renew, or whatever has made it; then reload the load balancer, which reads it only then",
    )


def of_versions(shown: Shown, lines: Lines) -> Finding:
    """TLS 1.2 or newer is there, and nothing older."""
    offered = ", ".join(shown.versions)
    old = [version for version in shown.versions if version not in _MODERN]
    if not _MODERN.intersection(shown.versions):
        return fail(f"only {offered or 'no known version'}", needed="TLS 1.2 or 1.3", remedy=lines(Need.PROTOCOLS))
    if old:
        return warn(f"{' and '.join(old)} accepted too", needed="TLS 1.2 and 1.3 only", remedy=lines(Need.PROTOCOLS))
    return passed(offered)


def of_hsts(shown: Shown, lines: Lines) -> Finding:
    """Strict-Transport-Security, as the guide's nginx sets it when the address is https."""
    lasts = max_age(shown.hsts)
    if lasts:
        return passed(shown.hsts)
    found = f"Strict-Transport-Security is {shown.hsts!r}" if shown.hsts else "Strict-Transport-Security is not sent"
    return warn(
        f"{found}: a browser that is given the bare name asks by http:// first",
        needed='"max-age=31536000" or so, once https works for good',
        remedy=lines(Need.HSTS),
    )


def max_age(hsts: str) -> int:
    """The seconds that it names, 0 for none: RFC 6797, 6.1.1."""
    match = re.search(r"(?:^|;)\s*max-age\s*=\s*\"?(\d{1,12})", hsts, re.IGNORECASE)
    return int(match[1]) if match else 0


def _issuer(shown: Shown) -> str:
    return shown.issuer or "its authority"
