"""A destination of alerts: an Apprise URL, the name it goes by where secrets may not, and the hiding of secrets."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from wbagent.config.model import AlertSettings

MASK: Final = "***"
# Only where these name a machine may the host be shown: in slack://, discord:// and most others it is a token.
_HOST_IS_A_HOST: Final = re.compile(r"(json|xml|form|mailto|gotify|mmost|rocket|matrix|mqtt)s?|r?syslog|snmp")
_SECRET_OPTIONS: Final = re.compile(r"([?&](?:pass|password|token|secret|key)=)[^&]*", re.IGNORECASE)
_SHORTEST_SECRET: Final = 4


@dataclass(frozen=True, slots=True)
class Destination:
    """`url` is secret. `id` stays the same when only the password changes, so that what waits finds its way.

    `label` is for people: scheme and, where it is one, the host.
    """

    id: str
    label: str
    url: str = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """The destination that an Apprise URL names."""
        parts = _split(url)
        shown = parts.hostname if _HOST_IS_A_HOST.fullmatch(parts.scheme) and parts.hostname else "…"
        port = f":{_port(parts)}" if shown != "…" and _port(parts) else ""
        # Without what may be a weak password: the id is readable in the state file.
        public = _SECRET_OPTIONS.sub(r"\1", re.sub(r"(://[^/?#@:]*):[^/?#]*@", r"\1@", url))
        digest = hashlib.sha256(public.encode()).hexdigest()[:16]
        return cls(digest, f"{parts.scheme}://{shown}{port}", url)


def destinations(urls: Iterable[str]) -> tuple[Destination, ...]:
    """The destinations of [alerts].to in order, each once."""
    found: list[Destination] = []
    seen: Counter[str] = Counter()
    for url in dict.fromkeys(urls):
        one = Destination.of(url)
        seen[one.id] += 1
        # Two that differ in their password alone are two all the same.
        number = seen[one.id]
        found.append(one if number == 1 else Destination(f"{one.id}-{number}", f"{one.label} ({number})", url))
    return tuple(found)


def configured(settings: AlertSettings) -> tuple[Destination, ...]:
    """The destinations of [alerts].to."""
    return destinations(url.get_secret_value() for url in settings.to)


def secret_parts(url: str) -> frozenset[str]:
    """What of an Apprise URL could be a secret, as it is written and as it is meant.

    User, password, the path's parts, options, and a host that is none.
    """
    parts = _split(url)
    pieces = [url, parts.username, parts.password, *parts.path.split("/"), *(v for _, v in parse_qsl(parts.query))]
    if not _HOST_IS_A_HOST.fullmatch(parts.scheme):
        # Tokens are often case-sensitive, and SplitResult.hostname is in lower case.
        pieces += re.split(r"[@:]", parts.netloc)
    return frozenset(form for piece in pieces if piece for form in (piece, unquote(piece)))


def masked(text: str, url: str) -> str:
    """`text` without any part of `url` that could be a secret.

    Parts shorter than four characters stay: hiding them would make the text unreadable and keep no secret.
    """
    for secret in sorted(secret_parts(url), key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = re.sub(re.escape(secret), MASK, text, flags=re.IGNORECASE)
    return text


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        # A raw [ or ] in a password: Apprise will say so; here nothing of it may be shown.
        return SplitResult(url.partition("://")[0], "", url.partition("://")[2], "", "")


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None
