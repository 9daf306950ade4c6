"""The [monitor] sections of the configuration: what is watched, and from when on that is an alert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from wbagent.config.certificates import read_certificates
from wbagent.config.section import Duration, Section, Size

_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(service|slice|scope)")


def _units(value: dict[str, float]) -> dict[str, float]:
    for unit, percent in value.items():
        if not _UNIT.fullmatch(unit):
            raise ValueError(f'expected names such as "mysql.service" or "wandb.slice", not "{unit}"')
        if not 0 < percent <= 100:
            raise ValueError(f"{unit}: expected a percentage of all processors, above 0 and at most 100")
    return value


class CpuSettings(Section):
    """The guide's rule: 40 % or more for 5 minutes or more means that the server is short of resources."""

    enabled: bool = True
    above_percent: float = Field(40.0, gt=0, lt=100, description="busy share of all processors, in percent")
    for_minutes: float = Field(5.0, gt=0, le=1440, description="how long it must stay there")
    resolve_minutes: float = Field(2.0, ge=0, le=1440, description="how long it must be below for the alert to end")
    sample_every: Duration = Field(10.0, ge=1, description="time between two samples")
    units: Annotated[dict[str, float], AfterValidator(_units)] = Field(default_factory=dict)


def _directories(value: object) -> object:
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) and path.startswith("/") for path in value):
        raise ValueError('expected a list of absolute paths such as ["/srv"]')
    return tuple(value)


class DiskSettings(Section):
    """Space and inodes where the database, Docker, the server's volume and the agent's state are."""

    enabled: bool = Field(True, description="whether the file systems are watched")
    above_percent: float = Field(90.0, gt=0, lt=100, description="a warning when so much is used")
    free_below: Size | None = Field(None, description="also a warning when less than this is left")
    critical_percent: float = Field(97.0, gt=0, le=100, description="critical when so much is used")
    inodes_percent: float = Field(90.0, gt=0, le=100, description="a warning when so many inodes are used")
    full_within: Duration = Field(
        86400.0, description="a warning when it will be full in this time at the present pace"
    )
    for_minutes: float = Field(2.0, ge=0, le=1440, description="how long it must be so; filling up: half an hour")
    paths: Annotated[tuple[str, ...], BeforeValidator(_directories)] = Field(
        (), description="further directories whose file systems are to be watched"
    )
    sample_every: Duration = Field(60.0, ge=1, description="time between two looks")


class MemorySettings(Section):
    """Memory of the host, and what the kernel kills for want of it."""

    enabled: bool = Field(True, description="whether the memory is watched")
    available_percent: float = Field(5.0, gt=0, lt=100, description="a warning when less of it is available")
    waiting_percent: float = Field(
        20.0, gt=0, le=100, description="a warning when everything waits for memory in so much of the time"
    )
    for_minutes: float = Field(5.0, ge=0, le=1440, description="how long it must be so")
    sample_every: Duration = Field(30.0, ge=1, description="time between two looks")


class ClockSettings(Section):
    """Whether the host's clock is synchronised."""

    enabled: bool = Field(True, description="whether it is watched")
    unsynchronised_for: Duration = Field(1800.0, description="a warning when it was not synchronised for this long")
    sample_every: Duration = Field(300.0, ge=1, description="time between two looks")


class UnitsSettings(Section):
    """Units of the product that cannot tell of their failure themselves."""

    enabled: bool = Field(True, description="whether failed sockets, deliveries and alerts are told")
    sample_every: Duration = Field(60.0, ge=1, description="time between two looks")


class DatabaseAwaySettings(Section):
    """Whether the database answers at all."""

    enabled: bool = Field(True, description="whether it is told that MySQL does not answer")
    every: Duration = Field(30.0, ge=1, description="time between two looks")
    for_minutes: float = Field(1.0, ge=0, le=1440, description="no answer for so long is an alert")


class MysqlLoadSettings(Section):
    """The load of the MySQL server that is backed up."""

    enabled: bool = Field(True, description="connections, long transactions, undo history, deadlocks, slow fsyncs")
    every: Duration = Field(60.0, ge=10, description="time between two looks")
    connections_percent: float = Field(80.0, gt=0, le=100, description="share of max_connections that is in use")
    long_transaction: Duration = Field(1800.0, gt=0, description="age of the oldest transaction, dumps aside")
    history_length: int = Field(1_000_000, gt=0, description="undo records that purge has not removed yet")
    deadlocks: int = Field(20, gt=0, description="deadlocks within 10 minutes")
    fsync: Duration = Field(0.1, gt=0, description="mean time of an fsync of redo log and binary log")


class ReplicationSettings(Section):
    """How far the replica of [standby] is behind."""

    enabled: bool = Field(True, description="whether it is watched, where [standby] names one")
    every: Duration = Field(30.0, ge=1, description="time between two looks: so exact is the lag")
    lag: Duration = Field(60.0, gt=0, description="an alert when work of so long is missing on it")


class OutsideSettings(Section):
    """The server as users reach it: /ready at the address in [server] host, load balancer and all."""

    enabled: bool = Field(True, description="false where this host cannot reach its own public address")
    every: Duration = Field(30.0, ge=5, description="time between two looks")
    timeout: Duration = Field(10.0, gt=0, le=60, description="how long an answer may take")
    for_minutes: float = Field(2.0, ge=0, le=1440, description="no good answer for so long is an alert")
    slow: Duration = Field(3.0, gt=0, description="an alert when answers take so long, for 5 minutes")


class CertificateSettings(Section):
    """The certificate that users get at the address in [server] host."""

    enabled: bool = Field(True, description="whether its dates, names and authority are watched")
    warn_days: int = Field(30, ge=1, le=365, description="days before it expires that this is told first")
    again_days: int = Field(14, ge=1, le=365, description="days before, told again")
    critical_days: int = Field(3, ge=0, le=365, description="days before, told again as critical")
    authorities: Annotated[tuple[Path, ...], BeforeValidator(read_certificates)] = Field(
        (), description="files (PEM) of authorities to be trusted beside the host's own"
    )


class NetworkSettings(Section):
    """This host's network."""

    enabled: bool = Field(True, description="where nothing answers at all, that is told, and not each thing missed")
    for_minutes: float = Field(0.5, ge=0, le=1440, description="so long is an alert; less than of what follows from it")


class StoreSettings(Section):
    """The object stores: the server's bucket, and the destination of backups."""

    enabled: bool = Field(True, description="whether they are asked")
    every: Duration = Field(60.0, ge=10, description="time between two looks")
    timeout: Duration = Field(10.0, gt=0, le=60, description="how long one answer may take")
    for_minutes: float = Field(3.0, ge=0, le=1440, description="trouble for so long is an alert")
    slow: Duration = Field(5.0, gt=0, description="an alert when the requests of a look take so long, for 10 minutes")
    write: bool = Field(True, description="store a small object in the server's bucket, read it and remove it")


class MonitorSettings(Section):
    """What is watched."""

    cpu: CpuSettings = Field(default_factory=CpuSettings)
    disk: DiskSettings = Field(default_factory=DiskSettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    units: UnitsSettings = Field(default_factory=UnitsSettings)
    database: DatabaseAwaySettings = Field(default_factory=DatabaseAwaySettings)
    mysql: MysqlLoadSettings = Field(default_factory=MysqlLoadSettings)
    replication: ReplicationSettings = Field(default_factory=ReplicationSettings)
    outside: OutsideSettings = Field(default_factory=OutsideSettings)
    certificate: CertificateSettings = Field(default_factory=CertificateSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
