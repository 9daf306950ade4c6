"""The judge of probes, replayed: every order of answers, with Docker there or away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.server.probe import LIVENESS, READINESS, Answer
from wbagent.server.supervision import Decision, Limits, Phase, Supervision, judge

LIMITS = Limits(startup_budget=600, liveness_failures=3)

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
        assert state.since == 0.0


def test_a_server_that_hangs_while_docker_is_away_is_restarted_when_docker_is_back() -> None:
    state = Supervision(Phase.SERVING, 0.0)
    for second in range(10):
        state, decision = judge(state, answer(ok=False), second, LIMITS, docker_away=True)
        assert decision is Decision.WAIT
    _, decision = judge(state, answer(ok=False), 11, LIMITS, docker_away=False)
    assert decision is Decision.RESTART


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_readiness_ends_nothing_and_each_change_of_it_is_told_once(sequence: list[tuple[bool, bool]]) -> None:
    state, unready, row = Supervision(Phase.SERVING, 0.0), False, 0
    for number, (about_readiness, ok) in enumerate(sequence):
        path = READINESS if about_readiness else LIVENESS
        state, decision = judge(state, answer(ok=ok, path=path), float(number), LIMITS)
        if about_readiness:
            changed, unready = unready is ok, not ok
            told = {Decision.TELL_READY_AGAIN, Decision.TELL_UNREADY} if changed else {Decision.WAIT}
            assert decision in told
        else:
            row = 0 if ok else row + 1
            assert (decision is Decision.RESTART) == (row >= 3)
        assert state.unready is unready
