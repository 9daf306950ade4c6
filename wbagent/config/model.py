"""The settings of /etc/wbagent.toml: every section and key with its type, default and meaning."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from wbagent.config import embedded as own
from wbagent.config.age_recipient import recipients
from wbagent.config.dsn import S3URL, MysqlURL
from wbagent.config.listen import Listen
from wbagent.config.monitor import MonitorSettings
from wbagent.config.section import Duration, Section, Size
from wbagent.config.server import IMAGE, ServerSettings

_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_WEB_ADDRESS: Final = re.compile(r"https?://[^\s/?#]+/[^\s?#]+")
_OWNER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _time_of_day(value: str) -> str:
    if not _TIME_OF_DAY.fullmatch(value):
        raise ValueError('expected a time of day such as "03:00"')
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/") or not value.strip("/"):
        raise ValueError("expected the absolute path of a directory")
    return value


def _is_web_address(value: str) -> bool:
    try:
        # What is in brackets has to be an address of IPv6, and the port a number.
        return bool(_WEB_ADDRESS.fullmatch(value) and urlsplit(value).port != 0)
    except ValueError:
        return False


def _metrics_file(value: str) -> str:
    if not (value.startswith("/") and value.endswith(".prom")):
        raise ValueError("expected an absolute path that ends in .prom: node_exporter reads no other file")
    return value


def _mysql_image(value: str) -> str:
    if not IMAGE.fullmatch(value):
        raise ValueError('expected an image of MySQL with its tag or digest, such as "mysql:8.4"')
    return value


class DatabaseSettings(Section):
    """The MySQL server that is backed up and watched, where it differs from [server].mysql."""

    url: MysqlURL = Field(description="connection string of the account for backups")


class StandbySettings(Section):
    """The replica that is to take over when the database's host dies."""

    url: MysqlURL = Field(description="connection string of an account there that may REPLICATION CLIENT")


class BinlogSettings(Section):
    """Binary logs are stored as they come, so that a restore can end at any moment."""

    enabled: bool = Field(False, description="without it, up to a day of work is lost with the database")
    mysqlbinlog: str = Field("mysqlbinlog", description="MySQL's own mysqlbinlog: a name on PATH or an absolute path")
    every: Duration = Field(5.0, description="at the latest after this time, what was written is stored")
    lag_alert: Duration = Field(300.0, description="an alert when so much work is not stored")
    spool_limit: Size = Field(512 * 1024**2, ge=16 * 1024**2, description="disk that it may take on this host")


class DrillSettings(Section):
    """The drill after each backup: it is restored into a throw-away mysqld and compared."""

    enabled: bool = Field(True, description="whether each backup is proven by restoring it")
    image: Annotated[str, AfterValidator(_mysql_image)] | None = Field(
        None, description='restore into a container of this image, such as "mysql:8.4", instead of a local mysqld'
    )
    mysqld: str = Field("mysqld", description="MySQL's own server program: a name or an absolute path")
    time_limit: Duration = Field(6 * 3600.0, description="a drill that takes longer is ended and has failed")


class BackupSettings(Section):
    """The daily backup."""

    enabled: bool = Field(True, description="whether backups are made on this host")
    destination: S3URL | None = Field(None, description="the off-site bucket; without it backups stay on this host")
    at: Annotated[str, AfterValidator(_time_of_day)] = Field("03:00", description="local time of the daily backup")
    keep_days: int = Field(7, ge=1, le=3650, description="days that a backup is kept (guide: at least one week)")
    keep_at_least: int = Field(3, ge=1, le=1000, description="backups that are kept however old they are")
    keep_weekly: int = Field(0, ge=0, le=520, description="of so many weeks that have a backup, the newest one is kept")
    keep_monthly: int = Field(0, ge=0, le=120, description="of so many months that have a backup, the newest is kept")
    fresh_within: Duration = Field(26 * 3600.0, gt=0, description="an alert fires when the newest backup is older")
    owner: str = Field(default_factory=socket.gethostname, description="whose backups these are in the bucket")
    engine: Literal["auto", "clone", "mydumper", "mysqldump"] = Field(
        "auto", description="how backups are made; see the manual"
    )
    clone_directory: Annotated[str, AfterValidator(_absolute)] = Field(
        "/var/lib/wbagent-clone", description="where MySQL clones its data to before it is stored"
    )
    mydumper: str = Field("mydumper", description="mydumper 1.0.1 or later: a name on PATH or an absolute path")
    mysqldump: str = Field("mysqldump", description="MySQL's own mysqldump: a name on PATH or an absolute path")
    mysql: str = Field("mysql", description="MySQL's own mysql program, for restores")
    myloader: str = Field("myloader", description="mydumper's loader, for restores of its backups")
    compression_level: int = Field(1, ge=1, le=19, description="zstd's level")
    compression_threads: int = Field(2, ge=1, le=16, description="how many threads compress")
    encrypt_to: Annotated[tuple[str, ...], BeforeValidator(recipients)] = Field(
        (), description="age public keys; who has none of their secret keys cannot read a backup, nor can this host"
    )
    part_size: Size = Field(6 * 1024**2, ge=5 * 1024**2, description="size of one part of an upload (S3: at least 5M)")
    bandwidth: Size | None = Field(None, ge=64 * 1024, description="most bytes a second to and from the bucket")
    timeout: Duration = Field(30.0, description="a store that says nothing for this long has failed for the moment")
    retry_for: Duration = Field(600.0, description="what fails in passing is sent again for this long")
    object_size: Size = Field(
        256 * 1024**2, ge=256 * 1024, description="size of the objects that a large backup is stored as"
    )
    read_back: bool = Field(
        True, description="false for keys that may not read: the store's MD5 of each part is compared instead"
    )
    lock_days: int | None = Field(
        None, ge=1, le=36500, description="days that Object Lock keeps each new backup from being deleted"
    )
    lock_mode: Literal["governance", "compliance"] = Field(
        "governance", description='"compliance": nobody at all can shorten the lock'
    )
    catch_up_after: Duration = Field(60.0, description="after a boot, how long until a missed backup is made up for")
    time_limit: Duration = Field(6 * 3600.0, description="a backup that takes longer is ended and has failed")
    request_checksum_calculation: Literal["when_supported", "when_required"] = Field(
        "when_required", description='"when_supported" for a store that asks for a CRC of each part'
    )
    binlog: BinlogSettings = Field(default_factory=BinlogSettings)
    drill: DrillSettings = Field(default_factory=DrillSettings)

    @field_validator("owner")
    @classmethod
    def _plain(cls, owner: str) -> str:
        if not _OWNER.fullmatch(owner):
            raise ValueError('expected a plain name of letters, digits, ".", "_" and "-"')
        return owner

    @model_validator(mode="after")
    def _lockable(self) -> Self:
        if self.lock_days and self.destination is None:
            raise ValueError("lock_days needs a bucket in destination: a directory of this host cannot be locked")
        return self


class AlertSettings(Section):
    """Who is told."""

    to: tuple[SecretStr, ...] = Field((), description="Apprise URLs, such as mailto://… or slack://…")
    repeat_every: Duration = Field(4 * 3600.0, description="a firing alert is told again after this time")
    ping_agent: SecretStr | None = Field(
        None, description="dead man's pings, as of Healthchecks: an address that is told as long as the agent is alive"
    )
    ping_backup: SecretStr | None = Field(
        None, description="an address that is told when a backup begins, is proven or fails"
    )
    ping_every: Duration = Field(60.0, ge=1, description="time between two pings of the agent")
    language: Literal["en", "ja"] = Field("en", description='language of the messages: "en" or "ja"')

    @field_validator("ping_agent", "ping_backup")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_web_address(value.get_secret_value()):
            raise ValueError('expected an address such as "https://hc-ping.com/UUID"')
        return value

    @field_validator("ping_agent", "ping_backup", mode="before")
    @classmethod
    def _secret(cls, value: Any) -> Any:
        return SecretStr(value.strip()) if isinstance(value, str) else value

    @field_validator("to", mode="before")
    @classmethod
    def _urls(cls, value: Any) -> Any:
        urls = value.split() if isinstance(value, str) else value
        if not isinstance(urls, list | tuple) or not all(isinstance(url, str) for url in urls):
            raise ValueError("expected a list of Apprise URLs")
        if any("://" not in url for url in urls):
            raise ValueError('expected Apprise URLs such as "mailto://user:password@mail.example.com"')
        return tuple(SecretStr(url) for url in urls)


class MetricsSettings(Section):
    """What Prometheus gets."""

    listen: Listen | None = Field(
        None, description="loopback address and port, or unix:PATH, at which Prometheus gets /metrics; none without"
    )
    beyond_loopback: bool = Field(False, description="true lets listen be an address that other machines reach")
    textfile: Annotated[str, AfterValidator(_metrics_file)] | None = Field(
        None, description="file for node_exporter's textfile collector; none is written without"
    )

    @model_validator(mode="after")
    def _stays_here(self) -> Self:
        if self.listen is not None and not self.listen.stays_here and not self.beyond_loopback:
            raise ValueError(
                f"listen: other machines reach {self.listen}, and whoever does may read everything there; expected a"
                ' loopback address such as "127.0.0.1:9797", or beyond_loopback = true beside it'
            )
        return self


class Settings(BaseSettings):
    """The whole configuration; sections that a host has no use for stay away."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    server: ServerSettings | None = None
    database: DatabaseSettings | None = None
    standby: StandbySettings | None = None
    backup: BackupSettings = Field(default_factory=BackupSettings)
    monitor: MonitorSettings = Field(default_factory=MonitorSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)

    def database_url(self) -> MysqlURL | None:
        """The account that backups and checks use: [database].url, else the server's, its own one when embedded."""
        if self.database is not None:
            return self.database.url
        return self.server.database if self.server is not None else None

    def files_socket(self) -> Path | None:
        """Where the backup gets the server's own files, which belong to its embedded database; None when external."""
        embedded = self.server is not None and self.server.embedded and self.database is None
        return Path(own.FILES_SOCKET) if embedded else None
