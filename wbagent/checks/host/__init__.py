"""Checks of the area "host": what the guide asks of the machine itself."""

from __future__ import annotations

from collections.abc import Sequence

from wbagent.checks.check import Check
from wbagent.checks.host import capacity, clock, database_disk, firewall, port, space, system
from wbagent.checks.host.part import Part, part_of
from wbagent.config import Settings

_OF_THE_DISK = "every commit waits until the disk has its log: a slow one is what users feel first"


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration; where nothing is configured, all."""
    part = part_of(settings)
    return (*(_of_the_server() if part.server else ()), *_of_any(), *_of_the_database(part))


def _of_the_server() -> Sequence[Check]:
    return (
        Check("memory", capacity.memory, "the kernel kills the server when memory ends", "Container"),
        Check("processors", capacity.processors, "requests wait for each other", "Container"),
        Check("architecture", system.architecture, "wandb/local is built for x86-64 only", "Container"),
        Check("open files", system.open_files, "the MySQL within the image asks for 262144", "Container"),
        Check("port", port.port, "where another program listens, the server cannot start", "Container"),
        Check("firewall", firewall.firewall, "the load balancer has to reach the server", "Load balancer"),
    )


def _of_any() -> Sequence[Check]:
    return (
        Check("systemd", system.systemd, "the units of wbagent use what older ones do not know"),
        Check(
            "clock", clock.clock, "stores refuse signed URLs of a clock that is off, and the order of records is lost"
        ),
        Check("swap", capacity.swap, "a database whose pages are on disk answers in seconds"),
        Check("free disk", space.free_disk, "a full disk stops the database, and with it every run that logs"),
    )


def _of_the_database(part: Part) -> Sequence[Check]:
    if not part.database:
        return (Check("disk speed", lambda _: database_disk.elsewhere(part.elsewhere), why=""),)
    return (
        Check("disk kind", database_disk.kind, _OF_THE_DISK, "Performance"),
        Check("disk speed", database_disk.speed, _OF_THE_DISK, "Performance"),
    )
