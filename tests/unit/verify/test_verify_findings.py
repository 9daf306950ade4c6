"""The client's output and status become findings; none says that all is well where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.check import Finding, Verdict
from wbagent.verify.client import Ended
from wbagent.verify.steps import findings

HOST = "https://wandb.example.com"
GOOD = "Checking if logged in".ljust(72, ".") + "\u2705\n"
RECORDED = Path(__file__).with_name("recorded")


def told(output: str, status: int | None) -> list[Finding]:
    return list(findings(Ended(output, status), HOST))


def test_all_is_well() -> None:
    assert [(finding.verdict, finding.about) for finding in told(GOOD, 0)] == [("pass", "if logged in")]


def test_a_real_client_that_ran_to_its_end() -> None:
    found = told((RECORDED / "0.31-passed.txt").read_text(), 0)
    assert len(found) == 10
    assert {finding.about for finding in found if finding.verdict is not Verdict.PASS} == {
        "requests to base url",
        "requests made over signed URLs",
    }
    assert {finding.verdict for finding in found} == {Verdict.PASS, Verdict.WARN}


def test_a_real_client_before_a_small_body_limit() -> None:
    found = {finding.about: finding for finding in told((RECORDED / "0.31-body-limit.txt").read_text(), 1)}
    large = found["ability to send large payloads through proxy"]
    assert large.verdict is Verdict.FAIL
    assert "client_max_body_size 0;" in large.remedy
    cors = found["CORs configuration of the bucket"]
    assert (cors.verdict, cors.remedy) == (Verdict.WARN, "wbagent bucket cors")
    assert found["signed URL upload"].verdict is Verdict.PASS


def test_a_client_that_crashed_is_a_failure_with_the_last_of_its_words() -> None:
    (_, crash) = told((RECORDED / "0.19-crash.txt").read_text(), 1)
    assert (crash.verdict, crash.about) == (Verdict.FAIL, "signed URL upload")
    assert crash.found == "wandb.errors.errors.CommError: unknown operation ProbeRunInput"


def test_a_status_without_a_reason() -> None:
    (_, last) = told(GOOD, 3)
    assert last.verdict is Verdict.FAIL
    assert "it ended with status 3; its last lines:\nChecking if logged in" in last.found


def test_nothing_known_is_no_pass() -> None:
    (failed, rest) = told("usage: something else\n", 0)
    assert failed.verdict is Verdict.FAIL
    assert rest.found == "it also said:\nusage: something else"


def test_the_time_limit() -> None:
    *_, cut, limit = told(GOOD + "Checking sweep creation and agent execution".ljust(72, "."), None)
    assert (cut.verdict, cut.found) == (Verdict.FAIL, "it ended in the midst of this")
    assert limit.found == "it did not end within 15min and was ended"


def test_lines_that_are_no_steps_are_shown_as_they_are() -> None:
    *_, rest = told("wandb: WARNING odd\n" + GOOD, 0)
    assert (rest.verdict, rest.found) == (Verdict.NOTE, "it also said:\nwandb: WARNING odd")


@given(st.text(), st.none() | st.integers(-15, 255))
def test_only_a_client_that_ended_well_and_passed_a_step_has_no_failure(text: str, status: int | None) -> None:
    verdicts = {finding.verdict for finding in told(text, status)}
    assert Verdict.FAIL in verdicts or (status == 0 and Verdict.PASS in verdicts)


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDED.iterdir()))
def test_every_trouble_that_was_recorded_has_a_remedy(name: str) -> None:
    for finding in told((RECORDED / name).read_text(), 1):
        assert finding.verdict in {Verdict.PASS, Verdict.NOTE} or finding.remedy
