"""The [monitor] sections of the configuration: what is watched, and from when on that is an alert."""

from __future__ import annotations

from pydantic import Field

from wbagent.config.section import Duration, Section


class CpuSettings(Section):
    """The guide's rule: 40 % or more for 5 minutes or more means that the server is short of resources."""

    enabled: bool = True
    above_percent: float = Field(40.0, gt=0, lt=100, description="busy share of all processors, in percent")
    for_minutes: float = Field(5.0, gt=0, le=1440, description="how long it must stay there")
    resolve_minutes: float = Field(2.0, ge=0, le=1440, description="how long it must be below for the alert to end")
    sample_every: Duration = Field(10.0, description="time between two samples")


class MonitorSettings(Section):
    """What is watched."""

    cpu: CpuSettings = Field(default_factory=CpuSettings)
