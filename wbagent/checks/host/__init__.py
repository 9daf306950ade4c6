"""Checks of the area "host": what the guide asks of the machine itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

from wbagent.checks.check import Check
from wbagent.checks.host import capacity, clock, database_disk, firewall, port, space, system
from wbagent.checks.host.part import Database, database_of, server_is_here
from wbagent.config import Settings

_OF_THE_DISK = "every commit waits until the disk has its log: a slow one is what users feel first"


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration; where nothing is configured, all."""
    # Asked for once, and within a check: a resolver or a MySQL that hangs takes its time.
    database = cache(partial(database_of, settings))
    return (*(_of_the_server() if server_is_here(settings) else ()), *_of_any(database), *_of_the_database(database))


def _of_the_server() -> Sequence[Check]:
    return (
        Check("memory", capacity.memory, "the kernel kills the server when memory ends", "Container"),
        Check("processors", capacity.processors, "requests wait for each other", "Container"),
        Check("architecture", system.architecture, "wandb/local is built for x86-64 only", "Container"),
        Check("open files", system.open_files, "the MySQL within the image asks for 262144", "Container"),
        Check("port", port.port, "where another program listens, the server cannot start", "Container"),
        Check("firewall", firewall.firewall, "the load balancer has to reach the server", "Load balancer"),
    )


def _of_any(database: Callable[[], Database]) -> Sequence[Check]:
    lost, full = "stores refuse signed URLs of a clock that is off, and records lie", "a full disk stops the database"
    return (
        Check("systemd", system.systemd, "the units of wbagent use what older ones do not know"),
        Check("clock", clock.clock, lost),
        Check("swap", lambda _: capacity.swap(database()), "a database whose pages are on disk answers in seconds"),
        Check("free disk", lambda subject: space.free_disk(subject.settings, database().directory), full),
    )


def _of_the_database(database: Callable[[], Database]) -> Sequence[Check]:
    return (
        Check("disk kind", lambda _: database_disk.kind(database()), _OF_THE_DISK, "Performance"),
        Check("disk speed", lambda about: database_disk.speed(database(), about.scratch), _OF_THE_DISK, "Performance"),
    )
