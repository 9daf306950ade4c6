"""Everything that this agent watches beside units, backups and the database's answer; a new area has its line here."""

from __future__ import annotations

from collections.abc import Callable

from wbagent.alerts.clock import ClockWatch
from wbagent.alerts.cpu import CpuWatch
from wbagent.alerts.disk import DiskWatch
from wbagent.alerts.failed_units import FailedUnitsWatch
from wbagent.alerts.memory import MemoryWatch
from wbagent.alerts.mysql_load import MysqlWatch
from wbagent.alerts.network import NetworkWatch
from wbagent.alerts.outside import OutsideWatch, Serving
from wbagent.alerts.replication import ReplicationWatch
from wbagent.alerts.store import StoreWatch
from wbagent.alerts.watch import Watch
from wbagent.monitor.reach import Reach


def watches(reach: Reach, serving: Callable[[], Serving]) -> tuple[Watch, ...]:
    """The watches of one agent; a cause stands before what may follow from it.

    `reach` gathers which machines answer; `serving` tells whether the server of this host is to answer now.
    """
    return (
        DiskWatch(),
        MemoryWatch(),
        CpuWatch(),
        ClockWatch(),
        FailedUnitsWatch(),
        NetworkWatch(reach),
        StoreWatch(reach),
        MysqlWatch(reach),
        ReplicationWatch(reach),
        OutsideWatch(serving),
    )
