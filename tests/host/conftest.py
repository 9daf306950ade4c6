"""Booted hosts for the host tests: one bed for all of them, set back before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.bed import Bed, bed
from tests.testbed.missing import why_no_hosts
from tests.testbed.reset import set_back


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
