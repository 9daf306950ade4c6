"""Integration and host tests, two files at a time: they wait for most of their time, for servers of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.testbed.environment import variables

ROOT = Path(__file__).parents[2]
_BESIDE = frozenset({"integration", "host"})
# Options that choose nothing: whoever chooses tests, or wants to stop at the first, gets one run in order.
_SHOW = ("-v", "-q", "-r", "--durations", "--tb", "--color")
# Files, not tests: what a file's tests share is made once. Whoever has ended one takes the next.
_TWO_AT_A_TIME = ("--numprocesses=2", "--dist=loadfile")


def can_be_beside(parts: Sequence[str], others: Sequence[str]) -> bool:
    """Whether both are wanted, whole."""
    return set(parts) >= _BESIDE and all(other.startswith(_SHOW) for other in others)


def run_beside(pytest: Sequence[str], parts: Sequence[str], options: Sequence[str]) -> int:
    """Run the parts and return the first exit status that is not 0.

    First what computes, then integration and host, at the end the host tests that are marked as `alone`. Which of them
    failed is said last.
    """
    statuses: dict[str, int] = {}

    def run(name: str, *arguments: str) -> None:
        statuses[name] = subprocess.call([*pytest, *arguments, *options], cwd=ROOT, env=variables())

    quick = [part for part in parts if part not in _BESIDE]
    if quick:
        run(", ".join(quick), *(f"tests/{part}" for part in quick))
    run("integration, host", "tests/integration", "tests/host", "-m", "not alone", *_TWO_AT_A_TIME)
    run("host, alone", "tests/host", "-m", "alone")
    for name, status in statuses.items():
        print(f"{name}: {'passed' if status == 0 else f'FAILED (exit status {status})'}")
    return next((status for status in statuses.values() if status), 0)
