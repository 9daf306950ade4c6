"""Pauses, replayed: they end by themselves across restarts, reboots and clocks, and hold what they promise to hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.moment import Moment
from wbagent.server.pause import News, Pause, Told, current, hold, news, read, write
from wbagent.server.supervision import Decision


def at(seconds: float, boot: str = "one", boottime: float | None = None) -> Moment:
    return Moment(1e9 + seconds, seconds if boottime is None else boottime, boot)


PAUSE = Pause("disk is replaced", "ops", at(100), 3600)


def test_it_ends_by_itself() -> None:
    assert PAUSE.left(at(100)) == 3600
    assert PAUSE.left(at(3600)) == 100
    assert PAUSE.left(at(3700)) is None


def test_it_outlives_a_reboot_and_no_clock_prolongs_it() -> None:
    assert PAUSE.left(at(1000, "two", boottime=5)) == 2700
    assert PAUSE.left(at(3800, "two", boottime=5)) is None
    assert PAUSE.left(at(50, "two", boottime=5)) is None
    assert PAUSE.left(Moment(0, 3700, "one")) is None


def test_resume_ends_it() -> None:
    assert replace(PAUSE, resumed=True).left(at(101)) is None


@pytest.mark.parametrize("decision", Decision)
def test_only_what_ends_a_container_is_held(decision: Decision) -> None:
    ends = {Decision.RESTART, Decision.REOPEN_PORT, Decision.GIVE_UP_START, Decision.AWAIT_DOCKER}
    assert hold(decision, paused=False) is decision
    assert hold(decision, paused=True) not in ends
    assert (hold(decision, paused=True) is decision) == (decision not in ends)


def test_read_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBAGENT_STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "server").mkdir()
    assert read() is None
    assert current(at(101)) is None
    write(PAUSE)
    assert read() == PAUSE
    assert current(at(101)) == (PAUSE, 3599)
    assert current(at(9000)) is None
    (tmp_path / "server/pause.json").write_text('{"why": "half')
    assert read() is None


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """Root pauses in a directory that group wbagent may write to."""
    (tmp_path / "victim").write_text("untouched")
    for name in ("pause.new", ".pause.json.new"):
        (tmp_path / name).symlink_to(tmp_path / "victim")
    write(PAUSE, tmp_path / "pause.json")
    assert (tmp_path / "victim").read_text() == "untouched"


steps = st.lists(st.tuples(st.sampled_from(["begin", "resume", "wait", "look"]), st.floats(1, 5000)), max_size=40)


@given(steps)
def test_the_journal_hears_of_each_pause_once_as_begun_and_once_as_ended(sequence: list[tuple[str, float]]) -> None:
    now, pause, told = 0.0, None, Told()
    heard: list[News] = []
    seen: set[str] = set()
    for what, pause_s in sequence:
        now += pause_s
        if what == "begin":
            pause = Pause("why", "ops", at(now), 3600)
        elif what == "resume" and pause is not None:
            pause = replace(pause, resumed=True)
        elif what == "look":
            told, fresh = news(told, pause, at(now))
            heard += fresh
            seen |= {pause.key} if pause else set()
            assert news(told, pause, at(now)) == (told, ())
            assert told.active == (pause is not None and pause.left(at(now)) is not None)
    assert heard == [News.BEGAN, News.ENDED] * (len(heard) // 2) + [News.BEGAN] * (len(heard) % 2)
    assert heard.count(News.BEGAN) == len(seen)
