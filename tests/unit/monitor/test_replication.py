"""The lag by notes of what the primary had done: replayed against the true one, whatever the replica does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.moment import Moment
from wbagent.monitor.replication import Lag, Note, Threads, threads_of

# Seconds until the look, whether the primary worked in between, how much of its work the replica has applied (0 to 1).
LOOKS = st.lists(
    st.tuples(st.integers(1, 30), st.booleans(), st.sampled_from([0.0, 0.3, 0.7, 1.0])), min_size=1, max_size=60
)


def at(seconds: float) -> Moment:
    return Moment(seconds, seconds, "boot")


@given(LOOKS, st.integers(0, 3))
def test_never_more_than_the_true_lag_and_less_by_one_look_at_most(
    looks: list[tuple[int, bool, float]], old: int
) -> None:
    """A set of transactions is a number here: the primary has done 1 to n, the replica 1 to m.

    `old` of them were done long before the agent started.
    """
    lag, now, applied = Lag(), 0, 0
    done_at = [0] + [-1000] * old
    longest = max(elapsed for elapsed, _, _ in looks)
    for elapsed, works, share in looks:
        now += elapsed
        if works:
            # Somewhere between two looks.
            done_at.append(now - elapsed // 2)
        applied = max(applied, int(share * (len(done_at) - 1)))
        note = Note(at(now), str(len(done_at) - 1))
        notes = lag.notes(note)
        held = next((number for number, each in enumerate(notes) if int(each.executed) > applied), len(notes))
        lag = lag.then(note, held)
        behind = applied < len(done_at) - 1
        truth = now - done_at[applied + 1] if behind else 0
        told = lag.seconds(at(now))
        if told is None:
            assert not lag.caught_up_once
            assert lag.at_least(at(now)) <= truth
        else:
            assert truth - longest <= told <= truth
            assert (told > 0.0 or lag.missing != ()) is behind


def test_a_long_standstill_needs_little_room_and_keeps_its_age() -> None:
    lag = Lag().then(Note(at(0), "0"), 1)
    for second in range(1, 5000):
        lag = lag.then(Note(at(second), str(second)), 0)
    assert len(lag.missing) <= 240
    assert lag.seconds(at(5000)) == 4999.0
    caught_up = lag.then(Note(at(5000), "5000"), len(lag.notes(Note(at(5000), "5000"))))
    assert caught_up.seconds(at(5001)) == 0.0


def test_an_idle_primary_makes_no_notes() -> None:
    lag = Lag(caught_up_once=True)
    for second in range(10):
        lag = lag.then(Note(at(second), "same"), 0)
    assert lag.missing == (Note(at(0), "same"),)


def test_what_a_row_of_show_replica_status_means() -> None:
    good = {"Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes", "Last_IO_Error": "", "Last_SQL_Error": ""}
    assert threads_of(None) == Threads("replica", "")
    assert threads_of(good) == Threads("", "")
    away = {**good, "Replica_IO_Running": "Connecting", "Last_IO_Error": "error connecting"}
    assert threads_of(away) == Threads("receiver", "error connecting")
    # As MySQL before 8.0.22 names them.
    old = {
        "Slave_IO_Running": "Yes",
        "Slave_SQL_Running": "No",
        "Last_SQL_Error": "Duplicate entry",
        "Last_IO_Error": "",
    }
    assert threads_of(old) == Threads("applier", "Duplicate entry")
    why = "Coordinator stopped. The most recent failure being: Worker 1 failed. See error log and more"
    assert threads_of({**good, "Replica_SQL_Running": "No", "Last_SQL_Error": why}) == Threads(
        "applier", "Worker 1 failed."
    )
