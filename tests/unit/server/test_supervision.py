"""The judge of probes, replayed: every order of answers, with Docker there or away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.server.probe import LIVENESS, READINESS, Answer
from wbagent.server.supervision import Decision, Limits, Phase, Supervision, judge

LIMITS = Limits(startup_budget=600, liveness_failures=3, unready_after=300)

steps = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.01, 120)), max_size=60)


def answer(*, ok: bool, path: str = LIVENESS) -> Answer:
    return Answer(path, ok=ok, status=200 if ok else 0, text="", seconds=0.01)


@given(steps)
def test_a_start_ends_only_by_readiness_or_by_the_spent_budget(sequence: list[tuple[bool, bool, float]]) -> None:
    state, now = Supervision(Phase.STARTING, 0.0), 0.0
    for ok, away, pause in sequence:
        now += pause
        state, decision = judge(state, answer(ok=ok), now, LIMITS, docker_away=away)
        if ok:
            assert decision is Decision.ANNOUNCE_READY
            assert state.phase is Phase.SERVING
            return
        assert decision is (Decision.GIVE_UP_START if now >= 600 else Decision.EXTEND_START)
        if decision is Decision.GIVE_UP_START:
            return


@given(steps)
def test_only_failures_in_a_row_end_a_serving_container(sequence: list[tuple[bool, bool, float]]) -> None:
    state, row = Supervision(Phase.SERVING, 0.0), 0
    for number, (ok, away, _) in enumerate(sequence):
        row = 0 if ok else row + 1
        state, decision = judge(state, answer(ok=ok), float(number), LIMITS, docker_away=away)
        assert state.failures == row
        assert (decision is Decision.RESTART) == (row >= 3 and not away)
        assert (decision is Decision.AWAIT_DOCKER) == (row >= 3 and away)
        assert state.since == 0.0


def test_a_server_that_answers_is_left_alone_however_long_docker_is_away() -> None:
    state = Supervision(Phase.SERVING, 0.0)
    for second in range(1000):
        state, decision = judge(state, answer(ok=True), second, LIMITS, docker_away=True)
        assert decision is Decision.WAIT


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 400)), max_size=60))
def test_readiness_lost_for_long_is_recorded_once_and_its_end_too(sequence: list[tuple[bool, float]]) -> None:
    state, now, lost_at, recorded = Supervision(Phase.SERVING, 0.0), 0.0, None, False
    for ok, pause in sequence:
        now += pause
        state, decision = judge(state, answer(ok=ok, path=READINESS), now, LIMITS)
        if ok:
            over = Decision.RECORD_READY_AGAIN if recorded else Decision.TELL_READY_AGAIN
            assert decision is (Decision.WAIT if lost_at is None else over)
            assert lost_at is None or state.unready_for == now - lost_at
            lost_at, recorded = None, False
        elif lost_at is None:
            assert decision is Decision.TELL_UNREADY
            lost_at = now
        else:
            due = now - lost_at >= 300 and not recorded
            assert decision is (Decision.RECORD_UNREADY if due else Decision.WAIT)
            assert state.unready_for == now - lost_at
            recorded |= due
        assert state.failures == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_readiness_ends_nothing_and_each_change_of_it_is_told_once(sequence: list[tuple[bool, bool]]) -> None:
    state, unready, row = Supervision(Phase.SERVING, 0.0), False, 0
    for number, (about_readiness, ok) in enumerate(sequence):
        path = READINESS if about_readiness else LIVENESS
        state, decision = judge(state, answer(ok=ok, path=path), float(number), LIMITS)
        if about_readiness:
            changed, unready = unready is ok, not ok
            # Not long enough here for a record.
            told = {Decision.TELL_READY_AGAIN, Decision.TELL_UNREADY} if changed else {Decision.WAIT}
            assert decision in told
        else:
            row = 0 if ok else row + 1
            assert (decision is Decision.RESTART) == (row >= 3)
        assert state.unready is unready
