"""The daily backup's time: once for each occurrence, over every pattern of down time and both changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from wbagent.agent.schedule import backup_due, last_occurrence, last_try

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 20, 12, 0, tzinfo=BERLIN)


@given(st.lists(st.integers(1, 3 * 1440), max_size=60))
def test_each_occurrence_leads_to_at_most_one_start(pauses: list[int]) -> None:
    """`pauses` are minutes between two looks: an agent that is up looks often, one that is down does not look."""
    now, last, starts = START, START, []
    for pause in pauses:
        now = (now.astimezone(UTC) + timedelta(minutes=pause)).astimezone(BERLIN)
        if backup_due("03:00", last, now):
            last = now
            starts.append(last_occurrence("03:00", now))
        assert not backup_due("03:00", last, now)
    assert len(starts) == len(set(starts))
    days = (now.date() - START.date()).days
    assert len(starts) <= days
    if last < last_occurrence("03:00", now):
        raise AssertionError("an occurrence was passed over")


def test_a_host_that_never_had_a_backup_is_due() -> None:
    assert backup_due("03:00", None, START)


def test_what_found_nothing_to_back_up_yet_was_no_try() -> None:
    assert last_try([], 0.0) is None
    assert last_try([5.0, 3.0], 0.0) == 5.0
    # Begun at 5, and found at 6 that there are no tables; begun again at 7.
    assert last_try([5.0, 3.0], 6.0) is None
    assert last_try([7.0, 3.0], 6.0) == 7.0


def test_around_the_time() -> None:
    night = datetime(2026, 6, 1, 2, 59, 59, tzinfo=BERLIN)
    assert last_occurrence("03:00", night).day == 31
    assert last_occurrence("03:00", night + timedelta(seconds=1)).day == 1


def test_the_night_when_the_hour_is_missing() -> None:
    # On 29 March 2026 the clock goes from 02:00 to 03:00: 02:30 does not exist, and the backup is made all the same.
    before, after = (datetime(2026, 3, 29, hour, 15, tzinfo=BERLIN) for hour in (1, 3))
    assert not backup_due("02:30", last_occurrence("02:30", before), before)
    assert backup_due("02:30", before, after) or backup_due("02:30", before, after + timedelta(minutes=30))
