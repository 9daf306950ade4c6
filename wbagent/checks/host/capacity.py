"""Memory, processors and swap against the guide's figures and W&B's newer ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

from wbagent.checks.check import Finding, Subject, fail, note, passed, warn
from wbagent.checks.host.part import Database
from wbagent.quantities import format_size

# The guide's "8 GB and 4 vCPU". In powers of ten: of 8 GiB the kernel keeps a part from the start.
_MEMORY: Final = 8_000_000_000
_PROCESSORS: Final = 4
# W&B's newer docs, for production.
_NEWER_MEMORY: Final = 64_000_000_000
_NEWER_PROCESSORS: Final = 8
# MySQL's manual and Percona's ask for 1; up to 10 is what database hosts are commonly set to.
_SWAPPINESS: Final = 10
# So much of the memory's size in swap is no longer what nobody needs.
_SWAPPED: Final = 0.1


def memory(_: Subject) -> Finding:
    """What the machine has; what of it the container may take is the area server's business."""
    return judge_memory(psutil.virtual_memory().total)


def judge_memory(total: int) -> Finding:
    """Against the guide's figure for the server, and the newer one."""
    if total < _MEMORY:
        return fail(
            f"{format_size(total)} of memory", needed="8 GB for the server", remedy="give this machine more memory"
        )
    if total < _NEWER_MEMORY:
        return note(f"{format_size(total)}: enough for the guide's 8 GB; W&B's newer docs size production at 64 GB")
    return passed(f"{format_size(total)} of memory")


def processors(_: Subject) -> Finding:
    """What the machine has."""
    return judge_processors(os.cpu_count() or 1)


def judge_processors(count: int) -> Finding:
    """Fewer than the guide's make it slow, not wrong."""
    if count < _PROCESSORS:
        return warn(
            f"{count} processors", needed="4 processors for the server", remedy="give this machine more processors"
        )
    if count < _NEWER_PROCESSORS:
        return note(f"{count} processors: enough for the guide's 4; W&B's newer docs size production at 8")
    return passed(f"{count} processors")


def swap(database: Database) -> Finding:
    """What the machine has, and how soon the kernel uses it."""
    found = psutil.swap_memory()
    swappiness = int(Path("/proc/sys/vm/swappiness").read_text())
    return judge_swap(
        found.total, found.used, psutil.virtual_memory().total, swappiness, database=bool(database.directory)
    )


def judge_swap(total: int, used: int, memory_size: int, swappiness: int, *, database: bool) -> Finding:
    """No swap is no fault: then memory that ends is told at once, by a kill."""
    if not total:
        return passed("none: when memory ends, the kernel kills a program at once")
    if used > _SWAPPED * memory_size:
        return warn(
            f"{format_size(used)} of {format_size(total)} is in use: memory is short",
            needed="memory for all that runs here",
            remedy="wbagent report -o report.html    # who takes it: systemd-cgtop --order=memory",
        )
    if database and swappiness > _SWAPPINESS:
        return note(
            f"{format_size(total)}, and vm.swappiness is {swappiness}: the database's pages go there early",
            needed="vm.swappiness = 1 on a host with a database",
            remedy="echo 'vm.swappiness = 1' > /etc/sysctl.d/60-database.conf && sysctl --system",
        )
    return passed(f"{format_size(total)}, {format_size(used)} in use, vm.swappiness {swappiness}")
