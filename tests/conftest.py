"""What holds for all tests: one that is skipped has failed in continuous integration; which ones are left out."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a mydumper of 1.0.1 or later, which Debian does not package, unless one is named."""
    if os.environ.get("WBAGENT_MYDUMPER") and os.environ.get("WBAGENT_MYLOADER"):
        return
    left_out = [item for item in items if item.get_closest_marker("mydumper")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where the machine is meant to be able to run everything."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report
