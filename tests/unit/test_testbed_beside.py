"""The tests of integration beside those of hosts: what is run, and what counts as failed."""

from __future__ import annotations

import pytest

from tests.testbed.beside import can_be_beside, run_beside

PARTS = ("lint", "unit", "integration", "host")
# In place of pytest: says what it was given, and fails where that is what is named.
PROGRAM = 'echo "$*"; test "$*" != "{}" || exit 3'


@pytest.mark.parametrize(
    ("parts", "others", "both"),
    [
        (PARTS, [], True),
        (("host", "integration"), ["-vv", "--durations=40"], True),
        (("unit", "host"), [], False),
        (PARTS, ["-x"], False),
        (PARTS, ["-k", "clone"], False),
        (PARTS, ["tests/host/test_bed.py"], False),
    ],
)
def test_only_where_all_of_both_is_wanted(parts: list[str], others: list[str], both: bool) -> None:
    assert can_be_beside(parts, others) is both


@pytest.mark.parametrize("fails", range(-1, 3))
def test_all_is_run_and_each_failure_counts(fails: int, capfd: pytest.CaptureFixture[str]) -> None:
    runs = {
        "lint, unit": "tests/lint tests/unit -v",
        "integration, host": "tests/integration tests/host -m not alone --numprocesses=2 --dist=loadfile -v",
        "host, alone": "tests/host -m alone -v",
    }
    failing = list(runs.values())[fails] if fails >= 0 else ""
    status = run_beside(["sh", "-c", PROGRAM.format(failing), "sh"], PARTS, ["-v"])
    # What the runs print comes by another way than what is said at the end.
    shown = sorted(capfd.readouterr().out.splitlines())
    said = [f"{name}: {'FAILED (exit status 3)' if words == failing else 'passed'}" for name, words in runs.items()]
    assert shown == sorted([*runs.values(), *said])
    assert status == (3 if failing else 0)
