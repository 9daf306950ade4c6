"""The tests of integration beside those of hosts: both wait for most of their time, for different servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.testbed.environment import variables

ROOT = Path(__file__).parents[2]
_BESIDE = frozenset({"integration", "host"})
# Options that choose nothing: whoever chooses tests, or wants to stop at the first, gets one run in order.
_SHOW = ("-v", "-q", "-r", "--durations", "--tb", "--color")


def can_be_beside(parts: Sequence[str], others: Sequence[str]) -> bool:
    """Whether both are wanted, whole."""
    return set(parts) >= _BESIDE and all(other.startswith(_SHOW) for other in others)


def run_beside(pytest: Sequence[str], parts: Sequence[str], options: Sequence[str]) -> int:
    """Run the parts and return the first exit status that is not 0.

    First what computes, then integration and host side by side, at the end the host tests that are marked as `alone`.
    Each run's output is shown whole, none between another's lines; which of them failed is said last.
    """
    statuses: dict[str, int] = {}

    def run(name: str, *arguments: str) -> None:
        statuses[name] = subprocess.call([*pytest, *arguments, *options], cwd=ROOT, env=variables())

    quick = [part for part in parts if part not in _BESIDE]
    if quick:
        run(", ".join(quick), *(f"tests/{part}" for part in quick))
    with tempfile.TemporaryFile() as output:
        command = [*pytest, "tests/integration", *options]
        with subprocess.Popen(command, cwd=ROOT, env=variables(), stdout=output, stderr=output) as other:
            try:
                run("host", "tests/host", "-m", "not alone")
            finally:
                # After Ctrl-C, too: it has heard of that as well, and takes its servers down.
                statuses["integration"] = other.wait()
                output.seek(0)
                sys.stdout.flush()
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
    run("host, alone", "tests/host", "-m", "alone")
    for name, status in statuses.items():
        print(f"{name}: {'passed' if status == 0 else f'FAILED (exit status {status})'}")
    return next((status for status in statuses.values() if status), 0)
