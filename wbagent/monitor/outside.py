"""Asks for /ready at the address that users open, and says which part of the way there is broken."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from wbagent.monitor.trust import trust

_PATH: Final = "/ready"
# X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h, which Python has no name for.
_NO_CHECK_TIME: Final = 0x200000
_LONGEST: Final = 2048
# What only a proxy says: it has nobody behind it, or did not hear from it in time.
_PROXY: Final = frozenset({502, 504, 520, 521, 522, 523, 524})


class Stage(StrEnum):
    """The part of the way that is broken; a remedy each."""

    NAME = "unnamed"
    REFUSED = "refused"
    SILENT = "silent"
    TLS = "tls"
    BROKEN = "broken"
    PROXY = "proxy"
    REDIRECT = "redirect"
    UNREADY = "unready"


class Doubt(StrEnum):
    """Why a browser would refuse the certificate."""

    EXPIRED = "expired"
    EARLY = "early"
    NAME = "unnamed"
    SELF_SIGNED = "self_signed"
    CHAIN = "chain"
    OTHER = "other"


# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_DOUBTS: Final = {
    9: Doubt.EARLY,
    10: Doubt.EXPIRED,
    18: Doubt.SELF_SIGNED,
    19: Doubt.CHAIN,
    20: Doubt.CHAIN,
    21: Doubt.CHAIN,
    62: Doubt.NAME,
    64: Doubt.NAME,
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the address showed. `expires`: seconds since the epoch, None where it cannot be read.

    `doubt` is why it is refused, None for a good one, and `said` is OpenSSL's sentence on that.
    """

    expires: float | None
    doubt: Doubt | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """One look: `broken` None when /ready said yes; `said` what was seen, `seconds` from the first packet to the last.

    `certificate`: None where none was seen (plain HTTP, or nobody answered).
    """

    broken: Stage | None
    said: str
    seconds: float
    status: int = 0
    certificate: Certificate | None = None


def stage_of(status: int) -> Stage | None:
    """What an HTTP status at /ready means; None is good."""
    if 200 <= status < 300:
        return None
    if status in _PROXY:
        return Stage.PROXY
    return Stage.REDIRECT if 300 <= status < 400 else Stage.UNREADY


def ask(address: str, timeout: float, authorities: Sequence[Path] = ()) -> Outside:
    """Ask once. A certificate that is refused is noted, and the question asked all the same: one trouble at a time.

    `authorities` are trusted beside the host's own. Raises OSError for a file of them that is no use.
    """
    trusted = trust(authorities) if address.startswith("https:") else None
    begun = time.monotonic()
    url = urlsplit(address)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    certificate, status = None, 0
    way: socket.socket | None = None
    broken: Stage | None
    try:
        way = socket.create_connection((host, port), timeout)
        if trusted is not None:
            way, certificate = _secure(way, host, port, timeout, trusted)
        broken, said, status = _answer(way, host)
    except (OSError, http.client.HTTPException) as error:
        broken, said = failure(error, f"{host}:{port}", timeout, connected=way is not None)
    finally:
        if way is not None:
            way.close()
    return Outside(broken, " ".join(said.split())[:200], time.monotonic() - begun, status, certificate)


def failure(
    error: OSError | http.client.HTTPException, place: str, timeout: float, *, connected: bool
) -> tuple[Stage, str]:
    """Which part of the way to host:port an error is about, and a sentence; `timeout` in seconds."""
    if isinstance(error, TimeoutError):
        got = "connected, but no answer" if connected else "no connection"
        return Stage.SILENT, f"{place}: {got} in {timeout:g} s"
    if isinstance(error, ssl.SSLError):
        return Stage.TLS, f"{place}: {getattr(error, 'verify_message', '') or error.reason or error}"
    said = f"{place}: {getattr(error, 'strerror', None) or f'{type(error).__name__}: {error}'}"
    if isinstance(error, socket.gaierror):
        return Stage.NAME, said
    if isinstance(error, ConnectionRefusedError):
        return Stage.REFUSED, said
    return (Stage.BROKEN if connected else Stage.SILENT), said


def _answer(way: socket.socket, host: str) -> tuple[Stage | None, str, int]:
    connection = http.client.HTTPConnection(host)
    connection.sock = way
    connection.request("GET", _PATH, headers={"User-Agent": "wbagent"})
    response = connection.getresponse()
    text = response.read(_LONGEST).decode(errors="replace")
    # A proxy's page of HTML helps nobody at night.
    words = response.reason if "<" in text or not text.strip() else text
    goal = f" to {response.getheader('Location')}" if 300 <= response.status < 400 else ""
    by = f" (answered by {server})" if (server := response.getheader("Server")) else ""
    return stage_of(response.status), f"{response.status} {words}{goal}{by}", response.status


def _secure(
    plain: socket.socket, host: str, port: int, timeout: float, trust: ssl.SSLContext
) -> tuple[socket.socket, Certificate]:
    """The connection over TLS and the certificate; one that is refused is read by further connections that trust it."""
    try:
        way = trust.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        doubt = doubt_of(error)
        said = error.verify_message
    else:
        return way, Certificate(expiry(way.getpeercert()))
    way = open_minded().wrap_socket(socket.create_connection((host, port), timeout), server_hostname=host)
    shown = way.getpeercert(binary_form=True) or b""
    return way, Certificate(_expires_unproven(shown, host, port, timeout), doubt, said)


def trusting_only(shown: bytes) -> ssl.SSLContext:
    """Trusts one certificate (DER) as its own authority, whatever the date, and not its name: to read what it says.

    Python reads only trusted ones. Raises ssl.SSLError for what is no certificate.
    """
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own.check_hostname = False
    own.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    own.load_verify_locations(cadata=shown)
    return own


def open_minded() -> ssl.SSLContext:
    """Takes any certificate: to ask all the same, or to see what is shown."""
    any_one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_one.check_hostname = False
    any_one.verify_mode = ssl.CERT_NONE
    return any_one


def doubt_of(error: ssl.SSLCertVerificationError) -> Doubt:
    """Which of the doubts OpenSSL had."""
    return _DOUBTS.get(error.verify_code, Doubt.OTHER)


def _expires_unproven(shown: bytes, host: str, port: int, timeout: float) -> float | None:
    """When a certificate expires that is not trusted; None where it cannot be read."""
    try:
        with (
            socket.create_connection((host, port), timeout) as plain,
            trusting_only(shown).wrap_socket(plain, server_hostname=host) as way,
        ):
            return expiry(way.getpeercert())
    except OSError:
        return None


def expiry(read: Any) -> float | None:
    """When a certificate that Python has read expires (seconds since the epoch)."""
    return float(ssl.cert_time_to_seconds(read["notAfter"])) if read and "notAfter" in read else None
