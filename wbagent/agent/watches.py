"""Everything that this agent watches beside units, backups and the database's answer; a new area has its line here."""

from __future__ import annotations

from wbagent.alerts.cpu import CpuWatch
from wbagent.alerts.watch import Watch


def watches() -> tuple[Watch, ...]:
    """The watches of one agent; a cause stands before what may follow from it."""
    return (CpuWatch(),)
