"""Memory: what is available, and what the kernel killed when there was none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psutil

from wbagent.monitor.cgroups import shown_as

_VMSTAT: Final = Path("/proc/vmstat")
_KILLS: Final = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
# mm/oom_kill.c, dump_oom_victim: since Linux 4.19, one line a kill.
_VICTIM: Final = re.compile(r"^oom-kill:.*,task_memcg=(?P<group>[^,]*),task=(?P<task>[^,]*),pid=\d+")
# What journalctl's --grep= selects these lines by.
VICTIM_PATTERN: Final = "^oom-kill:"


def memory() -> tuple[int, int] | None:
    """(available, total) bytes, as the kernel estimates what programs can get without swapping; None: unreadable."""
    try:
        found = psutil.virtual_memory()
    except OSError:
        return None
    return int(found.available), int(found.total)


def oom_kills() -> int | None:
    """Processes that the kernel killed for want of memory since boot, of the host or of a control group's limit."""
    try:
        found = _KILLS.search(_VMSTAT.read_bytes())
    except OSError:
        return None
    return int(found[1]) if found else None


def victim(line: str) -> str | None:
    """The unit and program that a line of the kernel's log says was killed ("mysql.service (mysqld)"); else None."""
    found = _VICTIM.match(line)
    if found is None:
        return None
    unit = shown_as(found["group"])
    return f"{unit} ({found['task']})" if unit else found["task"]
