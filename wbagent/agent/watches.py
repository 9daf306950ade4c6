"""Everything that this agent watches beside units, backups and the database's answer; a new area has its line here."""

from __future__ import annotations

from wbagent.alerts.clock import ClockWatch
from wbagent.alerts.cpu import CpuWatch
from wbagent.alerts.disk import DiskWatch
from wbagent.alerts.failed_units import FailedUnitsWatch
from wbagent.alerts.memory import MemoryWatch
from wbagent.alerts.watch import Watch


def watches() -> tuple[Watch, ...]:
    """The watches of one agent; a cause stands before what may follow from it."""
    return (DiskWatch(), MemoryWatch(), CpuWatch(), ClockWatch(), FailedUnitsWatch())
