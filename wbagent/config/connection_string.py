"""The grammar that all connection strings of W&B's server share: parsed strictly, written with everything escaped.

Credentials are URL-encoded, and a raw `+` becomes a space when the server reads it (W&B's Helm charts), so parsing
refuses what would be read differently from how it was meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from wbagent.config.host_name import resolvable

MASK: Final = "***"
_NEAREST_SCHEME: Final = {
    "gcs": "gs",
    "gcp": "gs",
    "azure": "az",
    "minio": "s3",
    "https": "s3",
    "http": "s3",
    "mariadb": "mysql",
    "mysql+pymysql": "mysql",
    "rediss": "redis",
}
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


class ConnectionStringError(ValueError):
    """What is wrong with a connection string and how to write it; never repeats any part that may be secret."""


class ConnectionString:
    """What all kinds share: pydantic reads them from text, `str()` gives the text back, `masked()` is for people."""

    schemes: ClassVar[tuple[str, ...]]
    example: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `text`; raises ConnectionStringError."""
        raise NotImplementedError

    def masked(self) -> str:
        """The same string with every secret as `***`."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda url: url.masked()),
        )

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ConnectionStringError(f"expected a connection string such as {cls.example}")
        return cls.parse(value.strip())


@dataclass(frozen=True, slots=True)
class Parts:
    user: str
    password: str
    host: str
    port: int | None
    path: str
    options: tuple[tuple[str, str], ...]


def split(cls: type[ConnectionString], text: str) -> Parts:
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ConnectionStringError(f"expected a connection string such as {cls.example}")
    if scheme not in cls.schemes:
        nearest = _NEAREST_SCHEME.get(scheme, cls.schemes[0])
        wanted = f'did you mean "{nearest}://"? ' if nearest in cls.schemes else ""
        raise ConnectionStringError(f'unknown scheme "{scheme}://"; {wanted}Expected such as {cls.example}')
    if re.search(r"[\s\x00-\x1f]", text):
        raise ConnectionStringError("holds white space or a control character; write a space as %20")
    try:
        url = urlsplit(text)
    except ValueError:
        raise ConnectionStringError("the password or host holds a raw [ or ]; write them as %5B and %5D") from None
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:
        raise ConnectionStringError("the user or password holds a raw / or # or ?; write them as %2F, %23 and %3F")
    if url.fragment or text.endswith("#"):
        raise ConnectionStringError("holds a raw #; write it as %23")
    user, password = _credentials(authority)
    host, port = _address(url, authority.rpartition("@")[2])
    options = _options(url.query)
    return Parts(user, password, host, port, _decoded(url.path.lstrip("/")), options)


def _credentials(authority: str) -> tuple[str, str]:
    credentials, at, _ = authority.rpartition("@")
    if not at:
        return "", ""
    if "@" in credentials:
        raise ConnectionStringError("the password holds a raw @; write it as %40")
    if "+" in credentials:
        raise ConnectionStringError(
            "the user or password holds a raw +, which the server reads as a space; write it as %2B"
        )
    user, _, password = credentials.partition(":")
    if ":" in password:
        raise ConnectionStringError("the password holds a raw :; write it as %3A")
    return _decoded(user), _decoded(password)


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise ConnectionStringError("holds a raw %; write it as %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ConnectionStringError("holds a %-escape that is not UTF-8") from None


def _address(url: SplitResult, address: str) -> tuple[str, int | None]:
    try:
        port = url.port
    except ValueError:
        raise ConnectionStringError(
            "the part after the host's colon is not a port (1 to 65535); a raw / or : in a password is written %2F, %3A"
        ) from None
    if port == 0:
        raise ConnectionStringError("port 0 cannot be connected to; expected 1 to 65535")
    host = re.sub(r":\d*$", "", address)
    if host and not _HOST.fullmatch(host):
        raise ConnectionStringError("the host name holds a character that no host name may have")
    if host and not host.startswith("[") and not resolvable(host):
        raise ConnectionStringError("the host name has a part that is empty or longer than 63 characters")
    return host.strip("[]").lower(), port


def _options(query: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise ConnectionStringError("the options after ? are not of the form key=value&key=value") from None
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConnectionStringError(f'the option "{twice}" is given twice')
    return tuple(pairs)


def escape(text: str) -> str:
    return quote(text, safe="")


def join(scheme: str, user: str, password: str, address: str, path: str, options: tuple[tuple[str, str], ...]) -> str:
    credentials = f"{escape(user)}:{password}@" if password else f"{escape(user)}@" if user else ""
    query = f"?{urlencode(options, quote_via=quote, safe='')}" if options else ""
    return f"{scheme}://{credentials}{address}{path}{query}"


def with_port(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port is not None else shown


def option(options: tuple[tuple[str, str], ...], name: str, default: str = "") -> str:
    return dict(options).get(name, default)


def check_boolean(options: tuple[tuple[str, str], ...], *names: str) -> None:
    for name in names:
        if option(options, name, "true") not in {"true", "false"}:
            raise ConnectionStringError(f'the option "{name}" is true or false')
