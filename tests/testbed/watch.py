"""Waiting for what happens on a host, by its own signals: changes of a unit, lines of the journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.testbed.command import DeadlineError, Lines, lines
from tests.testbed.host import Host

# Runs on the host. PID 1 sends its signals only while somebody subscribes, which pystemd's connection does here.
_SIGNALS = """
import sys
from pystemd.dbuslib import DBus, path_encode
from pystemd.systemd1 import Manager

def say(message, error=None, userdata=None):
    print("changed", flush=True)

path = path_encode(b"/org/freedesktop/systemd1/unit", sys.argv[1].encode())
with DBus() as bus:
    bus.match_signal(b"org.freedesktop.systemd1", path, b"org.freedesktop.DBus.Properties",
                     b"PropertiesChanged", say, None)
    manager = Manager(bus=bus)
    manager.load()
    manager.Manager.Subscribe()
    say(None)
    while True:
        bus.wait(60)
        while bus.process():
            pass
"""

_END = """
import os, select, sys

try:
    process = os.pidfd_open(int(sys.argv[1]))
except ProcessLookupError:
    sys.exit()
sys.exit(not select.select([process], [], [], float(sys.argv[2]))[0])
"""

Properties = Mapping[str, str]


def wait_for_unit(host: Host, unit: str, condition: Callable[[Properties], bool], *, timeout: float = 60) -> Properties:
    """Wait until the unit's properties, as `systemctl show` prints them, meet the condition, and return them.

    They are read at once and after each change that PID 1 announces; a state that lasts shorter
    than reading it can be missed. Raises DeadlineError, with the unit's state, after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    with lines(host.command(["python3", "-c", _SIGNALS, unit])) as changes:
        while True:
            try:
                changes.next(deadline)
            except DeadlineError:
                status = host.run(["systemctl", "status", "--full", "--lines=30", unit], check=False).stdout
                raise DeadlineError(f"{unit} on {host.name} did not get there in {timeout} s:\n{status}") from None
            properties = host.properties(unit)
            if condition(properties):
                return properties


def wait_for_property(host: Host, unit: str, name: str, value: str, *, timeout: float = 60) -> Properties:
    """Wait until one property of the unit has this value; see `wait_for_unit`."""
    return wait_for_unit(host, unit, lambda properties: properties.get(name) == value, timeout=timeout)


def wait_for_end(host: Host, pid: int, *, timeout: float = 60) -> None:
    """Wait until the process with this id on the host has ended; raises DeadlineError after `timeout` seconds."""
    waited = host.run(["python3", "-c", _END, str(pid), str(timeout)], check=False, timeout=timeout + 10)
    if waited.returncode:
        raise DeadlineError(f"process {pid} on {host.name} still ran after {timeout} s\n{waited.stderr}")


Entry = Mapping[str, Any]


class Journal:
    """The journal's entries since a moment, each awaited once and in order."""

    def __init__(self, stream: Lines) -> None:
        self._stream = stream

    def wait(self, condition: Callable[[Entry], bool], *, timeout: float = 60) -> Entry:
        """Return the next entry that meets the condition; raises DeadlineError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            entry: Entry = json.loads(self._stream.next(deadline))
            if condition(entry):
                return entry

    def wait_for(self, text: str, *, timeout: float = 60) -> Entry:
        """Return the next entry whose message contains `text`."""
        return self.wait(lambda entry: text in str(entry.get("MESSAGE")), timeout=timeout)


@contextmanager
def journal_from_now(host: Host, *matches: str) -> Iterator[Journal]:
    """Follow the journal from this moment; `matches` are `journalctl`'s, such as `MESSAGE_ID=…` or `--unit=…`."""
    newest = host.journal(None, "--lines=1")[-1]["__CURSOR"]
    follow = ["journalctl", "--follow", "--no-tail", f"--after-cursor={newest}", "--output=json", "--all", "--quiet"]
    with lines(host.command([*follow, *matches])) as stream:
        yield Journal(stream)
