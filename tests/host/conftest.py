"""Booted hosts for the host tests: one bed for all of them, set back before each test; and the times of faults."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.testbed.bed import Bed, bed
from tests.testbed.missing import why_no_hosts
from tests.testbed.reset import set_back
from tests.testbed.users import Users

_PAGE = Path(__file__).parents[2] / "docs/faults.md"
_TIME = "seconds without the server"

Fault = Callable[[str], AbstractContextManager[Users]]


@pytest.fixture(scope="session")
def booted() -> Iterator[Bed]:
    """The bed as it was booted, with the package installed; use `hosts` unless a test sets it back itself."""
    reason = why_no_hosts()
    if reason:
        pytest.skip(reason)
    with bed() as up:
        yield up


@pytest.fixture
def hosts(booted: Bed) -> Bed:
    """The bed as if the package had just been installed: no configuration, no state, an empty database."""
    set_back(booted)
    return booted


@pytest.fixture
def fault(hosts: Bed, record_property: Callable[[str, object], None]) -> Fault:
    """Name a fault that the `with` block injects into a serving server and lets it recover from.

    Users ask all the while; for how long they got nothing is printed at the end, for the table in docs/faults.md.
    """

    @contextmanager
    def injected(name: str) -> Iterator[Users]:
        with Users(f"http://{hosts.web.address}:8080/ready") as users:
            begun = time.monotonic()
            yield users
            users.wait_until_served(since=time.monotonic())
            record_property(_TIME, (name, users.without(begun)))

    return injected


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows of docs/faults.md that were measured; with $WBAGENT_WRITE_FAULTS, write them into it too."""
    reports = (each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind))
    rows = [value for each in reports if each.when == "call" for key, value in each.user_properties if key == _TIME]
    if rows:
        terminalreporter.section("seconds that users were without the server")
    for name, seconds in rows:
        terminalreporter.write_line(f"| {name} | {seconds:.1f} |")
    if rows and os.environ.get("WBAGENT_WRITE_FAULTS"):
        _PAGE.write_text("".join(_with_times(_PAGE.read_text().splitlines(keepends=True), dict(rows))))


def _with_times(page: Iterable[str], times: Mapping[str, float]) -> Iterator[str]:
    """The page's lines, with what was measured in the second column of the rows that bear a fault's name."""
    for line in page:
        cells = line.split(" | ")
        name = cells[0].removeprefix("| ")
        if name in times:
            cells[1] = f"{times[name]:.1f}"
        yield " | ".join(cells)
