"""The settings of [server]: the wandb/local container, its probes, its environment and its limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from wbagent.config import embedded as own
from wbagent.config.certificates import read_certificates
from wbagent.config.dsn import S3URL, ForeignBucketURL, MysqlURL, RedisURL, parse_server_bucket
from wbagent.config.host_name import resolvable
from wbagent.config.section import Duration, Section, Size

IMAGE: Final = re.compile(r"[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Those that Docker knows (docker run --ulimit).
_ULIMITS: Final = frozenset({
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice",
    "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
})  # fmt: skip
_ULIMIT: Final = re.compile(r"(-1|\d{1,18})(?::(-1|\d{1,18}))?")


def _host_url(value: str) -> str:
    found = re.fullmatch(r"https?://([A-Za-z0-9.-]+)(?::(\d{1,5}))?/?", value)
    if not found:
        raise ValueError('expected the address that users open, such as "https://wandb.example.com", without a path')
    if not resolvable(found[1]):
        raise ValueError("the host name has a part that is empty or longer than 63 characters")
    if found[2] and not 0 < int(found[2]) < 65536:
        raise ValueError("expected a port from 1 to 65535")
    return value.rstrip("/")


def _pinned_image(value: str) -> str:
    if not IMAGE.fullmatch(value):
        raise ValueError('expected an image with its tag or digest, such as "wandb/local:0.83.0"')
    if value.endswith(":latest"):
        raise ValueError(
            'the tag "latest" upgrades the server by surprise; name a release such as "wandb/local:0.83.0"'
        )
    return value


PinnedImage = Annotated[str, AfterValidator(_pinned_image)]


def _server_bucket(value: object) -> object:
    return None if value is None else parse_server_bucket(value)


def _user(value: str | int | None) -> str | None:
    """W&B's rule: UID 999, or a UID of at least 100000 with GID 0 (OpenShift's)."""
    if value is None:
        return None
    text = str(value)
    uid, _, gid = text.partition(":")
    if text == "999" or (uid.isdigit() and int(uid) >= 100_000 and gid == "0"):
        return text
    raise ValueError('expected "999", or a UID of at least 100000 with group 0 such as "100000:0" (W&B\'s guide)')


def _ulimits(value: Any) -> Any:
    """Each as "SOFT:HARD", whichever way it was written."""
    if not isinstance(value, dict):
        raise ValueError('expected a table such as nofile = "262144:262144"')
    limits = {}
    for name, limit in value.items():
        if name not in _ULIMITS:
            raise ValueError(f'"{name}" is no limit that Docker knows: {", ".join(sorted(_ULIMITS))}')
        match = _ULIMIT.fullmatch(str(limit)) if isinstance(limit, str | int) and limit is not True else None
        if not match:
            raise ValueError(f'{name}: expected "SOFT:HARD" such as "262144:262144", a number for both, or -1 for none')
        soft, hard = match[1], match[2] or match[1]
        if hard != "-1" and (soft == "-1" or int(soft) > int(hard)):
            raise ValueError(f"{name}: the soft limit {soft} is above the hard limit {hard}")
        limits[name] = f"{soft}:{hard}"
    return limits


class Probes(Section):
    """When the server counts as started, alive and ready; the defaults are the guide's Kubernetes probes."""

    startup_failures: int = Field(60, ge=1, description="failed /ready probes that a start may take (guide: 60 x 10 s)")
    startup_period: Duration = Field(10.0, description="length of one of them; the product is the start-up budget")
    liveness_failures: int = Field(
        3, ge=1, description="failed /healthz probes in a row before the server is restarted"
    )
    liveness_period: Duration = Field(10.0, description="time between two /healthz probes")
    timeout: Duration = Field(5.0, description="how long one probe may take")
    unready_after: Duration = Field(
        300.0, description="/ready failing for so long while /healthz answers is recorded and alerted; nothing restarts"
    )


class ServerSettings(Section):
    """The wandb/local container."""

    host: Annotated[str, AfterValidator(_host_url)] = Field(description="the address that users open (HOST)")
    image: PinnedImage = Field(description="the image with its tag or digest")
    embedded: bool = Field(
        False, description="the server uses the MySQL and the object store of its own, in its volume: for trials only"
    )
    # Both are needed unless `embedded`: the validator below tells, in the words for any other missing key.
    bucket: Annotated[S3URL | ForeignBucketURL | None, BeforeValidator(_server_bucket)] = Field(
        None, validate_default=True, description="the object store (BUCKET)"
    )
    mysql: MysqlURL | None = Field(None, validate_default=True, description="the database (MYSQL)")
    license: SecretStr | None = Field(None, description="the licence (LICENSE)")
    redis: RedisURL | None = Field(None, description="an external Redis (REDIS)")
    region: str | None = Field(None, description="AWS_REGION; default: the region named in bucket")
    port: int = Field(8080, ge=1, le=65535, description="the port on this host")
    bind: str = Field("0.0.0.0", description="the address on this host that the port is published on")
    user: Annotated[str | None, BeforeValidator(_user)] = Field(
        None, description='"999", or UID >= 100000 with group 0'
    )
    cpus: float = Field(4.0, gt=0, description="processors that the container may use (guide: 4)")
    memory: Size = Field(8 * 1024**3, ge=64 * 1024**2, description='memory that the container may use (guide: "8G")')
    volume: str = Field("wandb", description="the Docker volume (or an absolute path) mounted at /vol")
    stop_timeout: Duration = Field(60.0, description="how long a stop waits, so that a migration can end")
    ca_certificates: Annotated[tuple[Path, ...], BeforeValidator(read_certificates)] = Field(
        (), description='files (PEM) of further authorities to be trusted, such as "/etc/ssl/private-ca.crt"'
    )
    env: dict[str, str] = Field(default_factory=dict, description="further environment of the container")
    ulimits: Annotated[dict[str, str], BeforeValidator(_ulimits)] = Field(
        default_factory=dict, description="limits of the container's processes"
    )
    probes: Probes = Field(default_factory=Probes)

    @field_validator("env")
    @classmethod
    def _names(cls, env: dict[str, str]) -> dict[str, str]:
        own = {"HOST", "LICENSE", "BUCKET", "BUCKET_QUEUE", "AWS_REGION", "MYSQL", "REDIS"} - {"BUCKET_QUEUE"}
        for name in env:
            if not _ENV_NAME.fullmatch(name):
                raise ValueError(f'"{name}" is not the name of an environment variable')
            if name in own:
                raise ValueError(f"{name} is set by a key of [server]; take it out of [server.env]")
        return env

    @field_validator("bucket", "mysql", "redis")
    @classmethod
    def _own_or_given(cls, value: Any, info: ValidationInfo) -> Any:
        # When `embedded` itself is wrong, that alone is told.
        own_ones = info.data.get("embedded")
        if own_ones and value is not None:
            raise ValueError("embedded = true runs the server's own one; take one of the two lines out")
        if own_ones is False and value is None and info.field_name != "redis":
            raise PydanticCustomError("missing", "is missing")
        if isinstance(value, MysqlURL) and value.socket:
            raise ValueError("socket= is a path of this host, which the container does not see; name host and port")
        return value

    @property
    def database(self) -> MysqlURL | None:
        """The server's database: the one given, or its own when embedded."""
        return own.MYSQL if self.embedded else self.mysql

    @property
    def aws_region(self) -> str:
        """AWS_REGION as the guide's docker line sets it."""
        named = self.bucket.region if isinstance(self.bucket, S3URL) else None
        return self.region or named or "us-east-1"
