"""Outages, replayed: restarts, crash loops, reboots, an adopted container, a clock that was set, still down."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.server.history import Reason, Record
from wbagent.server.outages import outage_of, outages, unready_seconds

ENDS = [reason for reason in Reason if reason not in {Reason.READY, Reason.UNREADY, Reason.READY_AGAIN}]


def ready(at: float, container: str = "") -> Record:
    return Record(at, Reason.READY, "ready", "id", container=container or f"c{at}")


def end(at: float, reason: Reason = Reason.EXITED, *, noticed_late: bool = False) -> Record:
    return Record(at, reason, "it ended", "id", noticed_late=noticed_late)


def test_a_restart() -> None:
    [one] = outages([ready(0), end(100), ready(101)])
    assert (one.seconds(now=500), one.ends, one.asked) == (1, 1, False)


def test_a_crash_loop_is_one_outage() -> None:
    [one] = outages([ready(0), end(100), end(105, Reason.PORT_TAKEN), end(120, Reason.BUDGET_SPENT), ready(160)])
    assert (one.seconds(now=500), one.ends) == (60, 3)


def test_a_stop_and_a_boot() -> None:
    [one] = outages([ready(0), end(100, Reason.STOPPED), ready(190)])
    assert (one.seconds(now=500), one.asked) == (90, True)


def test_still_down() -> None:
    first, second = outages([ready(0), end(10), ready(12), end(100), end(101)])
    assert first.seconds(now=160) == 2
    assert (second.over, second.ends, second.seconds(now=160)) == (None, 2, 60)


def test_a_first_start_that_fails_is_an_outage_too() -> None:
    [one] = outages([end(10, Reason.IMAGE_MISSING), ready(40)])
    assert one.seconds(now=500) == 30


def test_an_adopted_container_was_never_away() -> None:
    [one] = outages([ready(0, "same"), end(50, Reason.RUNNER_DIED), ready(53, "same")])
    assert (one.served_on, one.seconds(now=500)) == (True, 0)


def test_a_power_cut_is_noticed_late() -> None:
    [one] = outages([ready(0), end(100, Reason.RUNNER_DIED, noticed_late=True), ready(101)])
    assert (one.at_least, one.seconds(now=500)) == (True, 1)


def test_a_clock_that_was_set_back_leaves_no_length() -> None:
    [one] = outages([ready(1000), end(2000), ready(1500)])
    assert one.seconds(now=3000) is None


def test_lost_readiness_is_no_outage_and_lasts_until_the_next_record() -> None:
    lost = Record(400, Reason.UNREADY, "not ready for 5min", "id", seconds=300)
    back = Record(460, Reason.READY_AGAIN, "ready again", "id", seconds=360)
    assert outages([ready(0), lost, back]) == ()
    assert unready_seconds([ready(0), lost], 1, now=410) == 310
    assert unready_seconds([ready(0), lost, back], 1, now=9000) == 360
    assert unready_seconds([ready(0), lost, end(450)], 1, now=9000) == 350
    assert unready_seconds([ready(0), lost], 0, now=410) is None
    [one] = outages([ready(0), lost, end(500), ready(510)])
    assert (one.began, one.ends, one.seconds(now=9000)) == (500, 1, 10)


@given(st.lists(st.tuples(st.sampled_from(Reason), st.floats(0.01, 1e6)), max_size=60))
def test_every_end_is_in_exactly_one_outage_and_every_ready_ends_one(steps: list[tuple[Reason, float]]) -> None:
    now, records = 0.0, []
    for reason, pause in steps:
        now += pause
        records.append(ready(now) if reason is Reason.READY else end(now, reason))
    found, told = outages(records), [record for record in records if not record.of_one_run]
    assert sum(one.ends for one in found) == sum(record.reason in ENDS for record in records)
    assert [one.over is None for one in found[:-1]] == [False] * (len(found) - 1 if found else 0)
    assert bool(found and found[-1].over is None) == bool(told and told[-1].reason in ENDS)
    for index, record in enumerate(records):
        holding = [one for one in found if one.first <= index and (one.until is None or index <= one.until)]
        assert outage_of(index, found) == (holding[0] if holding else None)
        assert len(holding) == 1 or record.reason not in ENDS
    for one in found:
        length = one.seconds(now)
        assert length is not None
        assert length >= 0
        if one.until is not None:
            assert records[one.until].reason is Reason.READY
            assert all(record.reason is not Reason.READY for record in records[one.first : one.until])
