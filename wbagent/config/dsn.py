"""The connection strings of W&B's server, one class a kind: MySQL, object stores and Redis (forms of W&B's guide)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from wbagent.config.connection_string import (
    MASK,
    ConnectionString,
    ConnectionStringError,
    check_boolean,
    escape,
    join,
    option,
    split,
    with_port,
)

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class MysqlURL(ConnectionString):
    """`mysql://user:password@host:3306/database?tls=true|false|skip-verify|preferred`, or `?socket=/path`.

    `socket` is a Unix socket of this host, used instead of host and port; W&B's server knows no such option.
    """

    schemes: ClassVar = ("mysql",)
    example: ClassVar = "mysql://wandb_local:PASSWORD@db1.example.com:3306/wandb_local"
    tls_modes: ClassVar = ("true", "false", "skip-verify", "preferred", "custom")

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = split(cls, text)
        if not parts.host:
            raise ConnectionStringError(f"names no host; expected such as {cls.example}")
        if not parts.user:
            raise ConnectionStringError(f"names no user; expected such as {cls.example}")
        if not parts.path or "/" in parts.path:
            raise ConnectionStringError(
                f"names no database (one name after the host's /); expected such as {cls.example}"
            )
        if option(parts.options, "tls", "false") not in cls.tls_modes:
            raise ConnectionStringError(f'the option "tls" is one of {", ".join(cls.tls_modes)}')
        if not option(parts.options, "socket", "/").startswith("/"):
            raise ConnectionStringError('the option "socket" is the absolute path of a Unix socket')
        return cls(parts.user, parts.password, parts.host, parts.port or 3306, parts.path, parts.options)

    @property
    def tls(self) -> str:
        """One of `tls_modes`; "preferred" when not given, as MySQL's own clients do."""
        return option(self.options, "tls", "preferred")

    @property
    def socket(self) -> str:
        """The Unix socket to connect to; "" for host and port."""
        return option(self.options, "socket")

    @property
    def address(self) -> str:
        """`host:port/database` or `socket:database`, for messages: holds no secret."""
        return f"{self.socket}:{self.database}" if self.socket else f"{with_port(self.host, self.port)}/{self.database}"

    def __str__(self) -> str:
        return self._text(escape(self.password))

    def masked(self) -> str:
        return self._text(MASK if self.password else "")

    def _text(self, password: str) -> str:
        address = with_port(self.host, self.port)
        return join("mysql", self.user, password, address, f"/{escape(self.database)}", self.options)


@dataclass(frozen=True, slots=True)
class S3URL(ConnectionString):
    """`s3://KEY:SECRET@host[:port]/bucket[/prefix]?region=R&tls=true&forcePathStyle=true`; on AWS `s3://bucket[/prefix]`.

    Without `tls=true` a store that is not Amazon's is spoken to in plain HTTP, as W&B's server does.
    """

    schemes: ClassVar = ("s3",)
    example: ClassVar = "s3://KEY:SECRET@minio.example.com:9000/bucket?region=us-east-1&tls=true"

    access_key: str
    secret_key: str = field(repr=False)
    host: str | None
    port: int | None
    bucket: str
    prefix: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = split(cls, text)
        check_boolean(parts.options, "tls", "forcePathStyle")
        host: str | None = parts.host
        if parts.user or parts.port is not None:
            bucket, _, prefix = parts.path.partition("/")
        else:
            host, bucket, prefix = None, parts.host, parts.path
        if not bucket:
            raise ConnectionStringError(f"names no bucket; expected such as {cls.example}")
        if not _BUCKET.fullmatch(bucket):
            raise ConnectionStringError("the bucket's name is not one that S3 allows (3 to 63 of a-z, 0-9, '-', '.')")
        if bool(parts.user) != bool(parts.password):
            raise ConnectionStringError("has an access key without a secret key (or the reverse)")
        if prefix != prefix.strip("/") + ("/" if prefix.endswith("/") else "") or "//" in prefix:
            raise ConnectionStringError("the prefix holds empty parts (//)")
        return cls(parts.user, parts.password, host, parts.port, bucket, prefix.strip("/"), parts.options)

    @property
    def region(self) -> str | None:
        """The region to sign for, if one is named."""
        return option(self.options, "region") or None

    @property
    def tls(self) -> bool:
        """Whether the store is spoken to by HTTPS: always for Amazon's own address, else only with `tls=true`."""
        return self.host is None or option(self.options, "tls", "false") == "true"

    @property
    def path_style(self) -> bool:
        """Whether the bucket stands in the path; the default for every store that is named by its host."""
        return self.host is not None and option(self.options, "forcePathStyle", "true") == "true"

    @property
    def endpoint_url(self) -> str | None:
        """`http(s)://host[:port]`, or None for Amazon's own endpoints."""
        if self.host is None:
            return None
        return f"{'https' if self.tls else 'http'}://{with_port(self.host, self.port)}"

    @property
    def address(self) -> str:
        """`host/bucket/prefix`, for messages: holds no secret."""
        return "/".join(part for part in (with_port(self.host or "", self.port), self.bucket, self.prefix) if part)

    def __str__(self) -> str:
        return self._text(escape(self.secret_key))

    def masked(self) -> str:
        return self._text(MASK if self.secret_key else "")

    def _text(self, secret: str) -> str:
        path = "/".join(escape(part) for part in (self.bucket, *self.prefix.split("/")) if part)
        if self.host is None:
            return join("s3", "", "", "", path, self.options)
        return join("s3", self.access_key, secret, with_port(self.host, self.port), f"/{path}", self.options)


@dataclass(frozen=True, slots=True)
class RedisURL(ConnectionString):
    """`redis://[:password@]host:port?tls=true&caCertPath=…`."""

    schemes: ClassVar = ("redis",)
    example: ClassVar = "redis://:PASSWORD@redis.example.com:6379"

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    path: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = split(cls, text)
        if not parts.host:
            raise ConnectionStringError(f"names no host; expected such as {cls.example}")
        if parts.path and not parts.path.isdigit():
            raise ConnectionStringError("what follows the host's / is the number of the Redis database")
        check_boolean(parts.options, "tls")
        return cls(parts.user, parts.password, parts.host, parts.port or 6379, parts.path, parts.options)

    def __str__(self) -> str:
        return self._text(escape(self.password))

    def masked(self) -> str:
        return self._text(MASK if self.password else "")

    def _text(self, password: str) -> str:
        path = f"/{self.path}" if self.path else ""
        return join("redis", self.user, password, with_port(self.host, self.port), path, self.options)


@dataclass(frozen=True, slots=True)
class ForeignBucketURL(ConnectionString):
    """A bucket that only W&B's server speaks to (`gs://`, `az://`, `cw://`): passed on unread, never opened here."""

    schemes: ClassVar = ("gs", "az", "cw")
    example: ClassVar = "gs://bucket"

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        parts = split(cls, text)
        if not parts.host:
            raise ConnectionStringError(f"names no bucket; expected such as {cls.example}")
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def masked(self) -> str:
        scheme, _, rest = self.text.partition("://")
        credentials, at, address = rest.rpartition("@")
        return f"{scheme}://{MASK}@{address}" if at and credentials else self.text


def parse_server_bucket(value: Any) -> S3URL | ForeignBucketURL:
    """The BUCKET of W&B's server, which knows more stores than wbagent does; raises ConnectionStringError."""
    if isinstance(value, S3URL | ForeignBucketURL):
        return value
    text = value.strip() if isinstance(value, str) else ""
    foreign = text.partition("://")[0] in {*ForeignBucketURL.schemes, "gcs", "gcp", "azure"}
    return ForeignBucketURL.parse(text) if foreign else S3URL.parse(text)
