"""The tests of integration beside those of hosts: what is run, what is shown, and what counts as failed."""

from __future__ import annotations

import pytest

from tests.testbed.beside import can_be_beside, run_beside

PARTS = ("lint", "unit", "integration", "host")
# In place of pytest: says what it was given, and fails where the first word is the one that is named.
PROGRAM = 'echo "begin $*"; echo "end $*"; test "$*" != "{}" || exit 3'


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


@pytest.mark.parametrize("fails", ["nothing", "tests/lint tests/unit -v", "tests/integration -v"])
def test_each_output_is_whole_and_each_failure_counts(fails: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = run_beside(["sh", "-c", PROGRAM.format(fails), "sh"], PARTS, ["-v"])
    runs = {
        "lint, unit": "tests/lint tests/unit -v",
        "host": "tests/host -m not alone -v",
        "integration": "tests/integration -v",
        "host, alone": "tests/host -m alone -v",
    }
    shown = capfd.readouterr().out.splitlines()
    assert shown[:-4] == [f"{when} {words}" for words in runs.values() for when in ("begin", "end")]
    assert shown[-4:] == [
        f"{name}: {'FAILED (exit status 3)' if words == fails else 'passed'}" for name, words in runs.items()
    ]
    assert status == (0 if fails == "nothing" else 3)
