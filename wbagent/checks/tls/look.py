"""Looks at the certificate and the TLS of the public address: a connection for each question."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wbagent.checks.public import AwayError, Public
from wbagent.monitor.outside import Doubt, doubt_of, expiry, failure, open_minded, trusting_only
from wbagent.monitor.trust import own_trust

_TIMEOUT_S: Final = 10.0
VERSIONS: Final = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the address shows.

    `doubt` is what is wrong with the certificate apart from its name, for this host's own trust; `privately` whether
    it is good with the authorities of [monitor.certificate] added. `strictly`: what only those clients say against it
    that keep to RFC 5280, as Python's do since 3.13. `count`: how many certificates are shown. `own`: it names itself
    as its issuer. `expires` is None, and the names empty, where OpenSSL cannot read it. `fits`: it is for this name.
    """

    doubt: Doubt | None
    said: str
    privately: bool
    strictly: str
    count: int
    own: bool
    names: tuple[str, ...]
    issuer: str
    expires: float | None
    fits: bool
    versions: tuple[str, ...]
    hsts: str


def look(public: Public, authorities: Sequence[Path]) -> Shown:
    """Look; raises AwayError when nobody answers with TLS."""
    leaf, count = _leaf(public)
    doubt, said = _doubt(public, ())
    privately = doubt is not None and bool(authorities) and _doubt(public, authorities)[0] is None
    strictly = "" if doubt else _doubt(public, (), strict=True)[1]
    read: Any = {}
    with suppress(ssl.SSLError, AwayError), _handshake(public, trusting_only(leaf)) as way:
        read = way.getpeercert() or {}
    versions = tuple(name for name, version in VERSIONS.items() if _speaks(public, version))
    hsts = ""
    with suppress(AwayError):
        # What answers TLS and no HTTP is the area proxy's business.
        hsts = public.get("/", timeout=_TIMEOUT_S).headers.get("strict-transport-security", "")
    names = tuple(value for _, value in read.get("subjectAltName", ()))
    return Shown(
        doubt=doubt,
        said=said,
        privately=privately,
        strictly=strictly,
        count=count,
        own=bool(read) and read.get("issuer") == read.get("subject"),
        names=names,
        issuer=_name(read.get("issuer")),
        expires=expiry(read),
        fits=_fits(public, leaf),
        versions=versions,
        hsts=hsts,
    )


def _handshake(public: Public, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection; raises ssl.SSLError, and AwayError for all that is before TLS."""
    try:
        way = socket.create_connection((public.host, public.port), _TIMEOUT_S)
    except OSError as error:
        raise AwayError(failure(error, f"{public.host}:{public.port}", _TIMEOUT_S, connected=False)[1]) from None
    try:
        return tls.wrap_socket(way, server_hostname=public.host)
    except OSError as error:
        way.close()
        if isinstance(error, ssl.SSLError):
            raise
        raise AwayError(f"{public.host}:{public.port}: no TLS: {error.strerror or error}") from None


def _leaf(public: Public) -> tuple[bytes, int]:
    """The server's own certificate, and how many are shown with it, itself included."""
    try:
        with _handshake(public, open_minded()) as way:
            return way.getpeercert(binary_form=True) or b"", len(_chain(way))
    except ssl.SSLError as error:
        raise AwayError(f"{public.host}:{public.port}: no TLS 1.2 or newer: {error.reason or error}") from None


def _chain(way: Any) -> Sequence[object]:
    # Public since Python 3.13; Debian 12 has it below the surface.
    source = way if hasattr(way, "get_unverified_chain") else way._sslobj
    return source.get_unverified_chain() or ()


def _doubt(public: Public, authorities: Sequence[Path], *, strict: bool = False) -> tuple[Doubt | None, str]:
    trust = own_trust(authorities)
    trust.check_hostname = False
    # Python 3.13 has it on from the beginning, older ones have not.
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if strict:
        trust.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        _handshake(public, trust).close()
    except ssl.SSLCertVerificationError as error:
        return doubt_of(error), error.verify_message
    except ssl.SSLError as error:
        return Doubt.OTHER, error.reason or str(error)
    return None, ""


def _fits(public: Public, leaf: bytes) -> bool:
    try:
        own = trusting_only(leaf)
        own.check_hostname = True
        _handshake(public, own).close()
    except ssl.SSLCertVerificationError as error:
        return doubt_of(error) is not Doubt.NAME
    except ssl.SSLError:
        return False
    return True


def _speaks(public: Public, version: ssl.TLSVersion) -> bool:
    tls = open_minded()
    with warnings.catch_warnings():
        # Python warns of the old ones; here they are asked for to warn of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = tls.maximum_version = version
    with suppress(ssl.SSLError):
        # Debian's OpenSSL refuses the old versions' signatures otherwise, and would call them not offered.
        tls.set_ciphers("ALL:@SECLEVEL=0")
    try:
        _handshake(public, tls).close()
    except (ssl.SSLError, AwayError):
        return False
    return True


def _name(parts: Any) -> str:
    """The common name, or the organisation, of a subject as Python reads it."""
    read = {name: value for part in parts or () for name, value in part}
    return str(read.get("commonName") or read.get("organizationName") or "")
