"""Checks run side by side, each with its limit; what they make is gone afterwards, also when they are interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest

from wbagent.bucket.store import UnansweredError
from wbagent.checks.check import Check, Finding, Subject, fail, note, passed, warn
from wbagent.checks.once import Once
from wbagent.checks.run import exit_status, run
from wbagent.checks.scratch import Scratch
from wbagent.config import Settings
from wbagent.errors import AccessError, BucketError, DatabaseError, WbagentError


def subject() -> Subject:
    return Subject(Settings(), Scratch())


def check(name: str, run_: Callable[[Subject], Finding | Iterable[Finding]], limit: float = 20.0) -> Check:
    return Check(name, run_, why="because", section="Performance", time_limit_s=limit)


def test_areas_run_side_by_side_and_results_keep_their_order() -> None:
    met = threading.Barrier(2, timeout=10)

    def meet(_: Subject) -> Finding:
        met.wait()
        return passed("met")

    areas = {"host": [check("a", meet), check("b", lambda _: passed("later"))], "docker": [check("c", meet)]}
    found = [(result.area, result.check, result.finding.found) for result in run(areas, subject())]
    assert found == [("host", "a", "met"), ("host", "b", "later"), ("docker", "c", "met")]


def test_a_cause_fails_in_the_area_that_tells_it_and_in_another_only_without_that() -> None:
    def broken(looking: Subject) -> Finding:
        return looking.left_to("tls", fail("nobody answers", needed="somebody", remedy="curl", about="/ready"))

    proxy = {"proxy": [check("address", broken)]}
    [alone] = run(proxy, subject())
    assert (alone.finding.verdict, alone.finding.remedy) == ("fail", "curl")
    [beside] = run(proxy | {"tls": []}, subject())
    expected = note("nobody answers (why: area tls)", remedy="wbagent check tls", about="/ready")
    assert beside.finding == expected
    assert exit_status([beside]) == 0


def test_one_that_hangs_fails_and_the_next_one_runs() -> None:
    hold = threading.Event()

    def hang(_: Subject) -> Finding:
        hold.wait()
        return passed("never")

    results = run({"host": [check("a", hang, 0.05), check("b", lambda _: passed("fine"))]}, subject())
    hold.set()
    assert [result.finding.verdict for result in results] == ["fail", "pass"]
    assert "no answer within" in results[0].finding.found


def test_what_this_user_may_not_see_is_a_note() -> None:
    def locked(_: Subject) -> Finding:
        raise AccessError("this user may not read the state file", hint="run it as root")

    (told,) = run({"alerts": [check("a", locked)]}, subject())
    assert (told.finding.verdict, told.finding.remedy) == ("note", "run it as root")
    assert told.finding.found == "not looked at: this user may not read the state file"


@pytest.mark.parametrize(
    ("raised", "found", "remedy"),
    [
        (DatabaseError("db1 refuses", hint="grant it"), "db1 refuses", "grant it"),
        (FileNotFoundError(2, "No such file or directory", "/nowhere"), "/nowhere: No such file or directory", ""),
        (ValueError("x"), "ValueError: x", "this is a fault of wbagent; please report it with the unit's journal"),
    ],
)
def test_one_that_breaks_has_failed(raised: Exception, found: str, remedy: str) -> None:
    def broken(_: Subject) -> Finding:
        raise raised

    (result,) = run({"host": [check("a", broken)]}, subject())
    assert (result.finding.verdict, result.finding.found, result.finding.remedy) == ("fail", found, remedy)


def test_what_is_made_is_removed_when_interrupted_and_nothing_is_made_after() -> None:
    made, begun = set(), threading.Event()
    looking = subject()

    def make(about: Subject) -> Finding:
        with about.scratch.removed(lambda: made.discard("object")):
            made.add("object")
            begun.set()
            threading.Event().wait(30)
        return passed("never")

    def too_late(about: Subject) -> Finding:
        with about.scratch.removed(lambda: None):
            return passed("made")

    worker = threading.Thread(target=lambda: run({"bucket": [check("a", make, 0.1)]}, looking))
    worker.start()
    begun.wait(10)
    worker.join(10)
    assert made == set()
    with pytest.raises(WbagentError):
        too_late(looking)


def test_a_removal_that_hangs_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbagent.checks.run._CLEAR_S", 0.05)
    monkeypatch.setattr("wbagent.checks.run._GRACE_S", 0.05)
    hold, looking = threading.Event(), subject()

    def hang() -> None:
        hold.wait(30)

    def make(about: Subject) -> Finding:
        with about.scratch.removed(hang):
            hold.wait(30)
        return passed("never")

    (result,) = run({"bucket": [check("a", make, 0.05)]}, looking)
    hold.set()
    assert "no answer" in result.finding.found
    assert len(looking.scratch.left) == 1


def test_what_could_not_be_removed_is_told() -> None:
    def make(about: Subject) -> Finding:
        def remove() -> None:
            raise WbagentError("the store refuses to delete it")

        with about.scratch.removed(remove):
            return passed("made")

    looking = subject()
    run({"bucket": [check("a", make)]}, looking)
    assert looking.scratch.left == ["the store refuses to delete it"]


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], 0),
        ([passed("a"), note("b")], 0),
        ([note("b"), warn("c", needed="", remedy="")], 1),
        ([fail("d", needed="", remedy=""), warn("c", needed="", remedy=""), passed("a")], 2),
    ],
)
def test_exit_status(findings: list[Finding], status: int) -> None:
    results = run({"host": [check("a", lambda _: findings)]}, subject())
    assert exit_status(results) == status


@pytest.mark.parametrize(("raised", "asked"), [(UnansweredError("nobody is there"), 0), (BucketError("refused"), 1)])
def test_who_did_not_answer_is_not_asked_again(raised: BucketError, asked: int) -> None:
    def ask() -> str:
        raise raised

    questions: list[Subject] = []

    def another(about: Subject) -> Finding:
        questions.append(about)
        return passed("answered")

    store = Once(ask, "the store does not answer")
    checks = [check("a", store.then(lambda _: passed("there"))), check("b", store.unless(UnansweredError, another))]
    first, second = run({"backup": checks}, subject())
    assert (first.finding.verdict, len(questions)) == ("fail", asked)
    assert second.finding.found == ("answered" if asked else "not looked at: the store does not answer")
