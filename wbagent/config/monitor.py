"""The [monitor] sections of the configuration: what is watched, and from when on that is an alert."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

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
    sample_every: Duration = Field(10.0, description="time between two samples")
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
    sample_every: Duration = Field(60.0, description="time between two looks")


class MemorySettings(Section):
    """Memory of the host, and what the kernel kills for want of it."""

    enabled: bool = Field(True, description="whether the memory is watched")
    available_percent: float = Field(5.0, gt=0, lt=100, description="a warning when less of it is available")
    waiting_percent: float = Field(
        20.0, gt=0, le=100, description="a warning when everything waits for memory in so much of the time"
    )
    for_minutes: float = Field(5.0, ge=0, le=1440, description="how long it must be so")
    sample_every: Duration = Field(30.0, description="time between two looks")


class ClockSettings(Section):
    """Whether the host's clock is synchronised."""

    enabled: bool = Field(True, description="whether it is watched")
    unsynchronised_for: Duration = Field(1800.0, description="a warning when it was not synchronised for this long")
    sample_every: Duration = Field(300.0, description="time between two looks")


class UnitsSettings(Section):
    """Units of the product that cannot tell of their failure themselves."""

    enabled: bool = Field(True, description="whether failed sockets, deliveries and alerts are told")
    sample_every: Duration = Field(60.0, description="time between two looks")


class MonitorSettings(Section):
    """What is watched."""

    cpu: CpuSettings = Field(default_factory=CpuSettings)
    disk: DiskSettings = Field(default_factory=DiskSettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    units: UnitsSettings = Field(default_factory=UnitsSettings)
