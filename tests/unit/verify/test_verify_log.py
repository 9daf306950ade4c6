"""What the log of a start means, while the server serves and while it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.check import Verdict
from wbagent.verify.log import Log, judge

DIRTY = "panic: Dirty database version 12. Fix and force version."


@pytest.mark.parametrize(("ready", "verdict"), [(True, Verdict.WARN), (False, Verdict.FAIL)])
def test_a_known_cause_has_its_remedy(ready: bool, verdict: Verdict) -> None:
    found = judge(Log((DIRTY, "!!! Unable to start backend, see logs"), ready=ready))
    assert found.verdict is verdict
    assert "a migration was interrupted" in found.found
    assert found.remedy.startswith("restore the last backup")


def test_a_panic_that_nobody_knows_is_shown() -> None:
    found = judge(Log(("panic: runtime error: index out of range",), ready=False))
    assert found.verdict is Verdict.FAIL
    assert found.found == "the server is not ready: the log says: panic: runtime error: index out of range"


def test_why_the_last_run_ended() -> None:
    found = judge(Log((), ready=False, ended="exited; status 3"))
    assert found.verdict is Verdict.FAIL
    assert found.found == "the server is not ready: its last run ended: exited; status 3"


def test_errors_of_the_application_are_noted() -> None:
    line = '{"level": "ERROR", "time": "2026-01-01", "message": "cannot send mail"}'
    found = judge(Log(('{"level":"info","message":"error rate 0"}', line, line), ready=True))
    assert found.verdict is Verdict.NOTE
    assert found.found == "2 errors in the log since the start; the newest: cannot send mail"


def test_a_log_that_may_not_be_read_is_no_pass() -> None:
    assert judge(Log((), ready=True, readable=False)).verdict is Verdict.NOTE


def test_a_clean_start() -> None:
    assert judge(Log(('{"level":"info","message":"denied"}',), ready=True)).verdict is Verdict.PASS


@given(
    st.lists(st.text() | st.sampled_from([DIRTY, "!!! x", '{"level":"error"}', "[1]", '{"level":{}}'])), st.booleans()
)
def test_while_it_is_ready_nothing_in_its_log_is_a_failure(lines: list[str], ready: bool) -> None:
    verdict = judge(Log(tuple(lines), ready=ready)).verdict
    assert verdict is not Verdict.FAIL if ready else verdict is not Verdict.WARN
