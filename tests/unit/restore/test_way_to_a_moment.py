"""The way to a moment: the right backup, every transaction once and in order, or a plain refusal."""

from __future__ import annotations

import pytest

from wbagent.binlog.catalog import StoredFile
from wbagent.binlog.gtid import Gtid, GtidSet, Source
from wbagent.binlog.layout import FileId
from wbagent.binlog.scan import Done, Mark
from wbagent.errors import RestoreError
from wbagent.restore.history import (
    Candidate,
    Known,
    Window,
    choose_backup,
    executed_at,
    last_file,
    of_history,
    refuse_hole,
    spanning,
    steps,
    windows,
)
from wbagent.restore.until import Until

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "40342206-e9a9-11f1-8fc5-02fc00000001"
SECOND = 1_000_000


def gtids(text: str) -> GtidSet:
    return GtidSet.parse(text)


def file(name: str, previous: str, executed: str, first: int, last: int, uuid: str = A, created: int = 0) -> StoredFile:
    """`first` and `last`: seconds of the first and the last commit."""
    mark = Mark(
        end=1000,
        created=created or first,
        previous=gtids(previous),
        executed=gtids(executed),
        first_at=first * SECOND,
        last_at=last * SECOND,
    )
    return StoredFile(FileId.of(uuid, name, created or first), (), mark, {})


ONE = file("binlog.000001", "", f"{A}:1-10", 100, 200)
TWO = file("binlog.000002", f"{A}:1-10", f"{A}:1-20", 210, 300)
# The replica that took over when A was at 20, of which it had 18; its file is older than A's last.
OTHER = file("log.000007", f"{A}:1-8", f"{A}:1-18,{B}:1-5", 180, 500, uuid=B, created=90)


def at(second: int) -> Until:
    return Until(at=second * SECOND)


def test_the_file_of_a_moment() -> None:
    files = (ONE, TWO)
    assert last_file(files, at(150), 0) is ONE
    assert last_file(files, at(205), 0) is ONE
    assert last_file(files, at(300), 0) is TWO
    assert last_file(files, at(400), 500 * SECOND) is TWO, "nothing was written since, and that is known"
    assert last_file(files, Until(before=Gtid(Source(A), 11)), 0) is TWO


@pytest.mark.parametrize(
    ("until", "says"),
    [
        (at(301), "later than what is stored"),
        (at(99), "earlier than the first stored transaction"),
        (Until(before=Gtid(Source(B), 1)), "in no stored binary log"),
    ],
)
def test_moments_that_cannot_be_had(until: Until, says: str) -> None:
    with pytest.raises(RestoreError, match=says):
        last_file((ONE, TWO), until, 0)
    with pytest.raises(RestoreError, match="no binary logs are stored"):
        last_file((), until, 0)


def test_after_a_failover_the_new_primary_counts() -> None:
    files = (OTHER, ONE, TWO)
    assert last_file(files, at(450), 0) is OTHER
    assert last_file(files, at(295), 0, {OTHER.id: 280 * SECOND, TWO.id: 290 * SECOND}) is TWO, "it was primary then"
    assert last_file(files, at(320), 0, {OTHER.id: 280 * SECOND}) is TWO, "the other one had not committed yet"
    assert last_file(files, at(320), 0, {OTHER.id: 310 * SECOND}) is OTHER
    assert spanning(files, at(250)) == (OTHER, TWO)
    assert spanning(files, at(350)) == (OTHER,)


def test_what_was_executed() -> None:
    done = [Done(Gtid(Source(A), number), second * SECOND) for number, second in ((11, 210), (12, 220), (13, 230))]
    assert executed_at(TWO, done, at(225)) == gtids(f"{A}:1-12")
    assert executed_at(TWO, done, at(220)) == gtids(f"{A}:1-12")
    assert executed_at(TWO, done, at(209)) == gtids(f"{A}:1-10")
    assert executed_at(TWO, done, Until(before=Gtid(Source(A), 12))) == gtids(f"{A}:1-11")


def test_a_clock_that_was_set_back_cuts_no_hole() -> None:
    done = [Done(Gtid(Source(A), number), second * SECOND) for number, second in ((11, 210), (12, 999), (13, 220))]
    assert executed_at(TWO, done, at(225)) == gtids(f"{A}:1-13")


def test_the_newest_backup_that_is_not_too_new() -> None:
    backups = [Candidate("old", gtids(f"{A}:1-3")), Candidate("new", gtids(f"{A}:1-12")), Candidate("none", None)]
    assert choose_backup(backups, (ONE, TWO), gtids(f"{A}:1-15"), at(1)).id == "new"
    assert choose_backup(backups, (ONE, TWO), gtids(f"{A}:1-11"), at(1)).id == "old"
    with pytest.raises(RestoreError, match="no backup of before 1970"):
        choose_backup(backups, (ONE, TWO), gtids(f"{A}:1-2"), at(1))
    with pytest.raises(RestoreError, match="no backup of before the transaction"):
        choose_backup(backups, (ONE, TWO), gtids(f"{A}:1-2"), Until(before=Gtid(Source(A), 3)))
    with pytest.raises(RestoreError, match="no backup has an exact position"):
        choose_backup(backups[2:], (ONE, TWO), gtids(f"{A}:1-15"), at(1))
    with pytest.raises(RestoreError, match=f"without a gap: after backup old 1 transactions are missing .{A}:11"):
        choose_backup(backups[:1], (ONE, file("b.3", f"{A}:1-11", f"{A}:1-20", 1, 2)), gtids(f"{A}:1-15"), at(1))


def test_what_was_lost_in_a_failover_is_left_out_and_nothing_is_applied_twice() -> None:
    wanted = gtids(f"{A}:1-18,{B}:1-5")
    way = steps((OTHER, ONE, TWO), gtids(f"{A}:1-5"), wanted)
    applied = [str(step.gtids) for step in way]
    whole = GtidSet()
    for step in way:
        assert not step.gtids & whole
        assert step.file.mark.previous & wanted <= whole | gtids(f"{A}:1-5")
        whole |= step.gtids
    assert whole == wanted - gtids(f"{A}:1-5")
    assert applied[0] == f"{A}:6-10"


def test_files_that_cannot_be_put_in_order() -> None:
    with pytest.raises(RestoreError, match="cannot be put in order"):
        steps((TWO,), gtids(f"{A}:1-5"), gtids(f"{A}:1-15"))


def test_which_moments_can_be_had() -> None:
    later = file("binlog.000003", f"{A}:1-25", f"{A}:1-30", 400, 500)
    backups = [
        Candidate("1", gtids(f"{A}:1-3"), 120 * SECOND),
        Candidate("2", gtids(f"{A}:1-12"), 220 * SECOND),
        Candidate("3", None, 230 * SECOND),
        Candidate("4", gtids(f"{A}:1-26"), 410 * SECOND),
    ]
    assert windows(backups, (ONE, TWO, later)) == (
        Window(120 * SECOND, 300 * SECOND, "1"),
        Window(410 * SECOND, 500 * SECOND, "4", gtids(f"{A}:21-25")),
    )
    assert windows(backups, (ONE, TWO, later), 900 * SECOND)[-1].end == 900 * SECOND, "nothing was written since"
    assert windows(backups[:3], (ONE, TWO, later), 900 * SECOND)[-1].end == 300 * SECOND, "it ends before the gap"
    quiet = [Candidate("5", gtids(f"{A}:1-30"), 600 * SECOND)]
    assert windows(quiet, (later,)) == ()
    assert windows(quiet, (later,), 900 * SECOND) == (Window(600 * SECOND, 900 * SECOND, "5"),)


def test_a_backup_that_its_drill_found_bad_is_not_begun_with() -> None:
    good, bad = Candidate("1", gtids(f"{A}:1-5")), Candidate("2", gtids(f"{A}:1-15"), 250 * SECOND, bad=True)
    wanted = gtids(f"{A}:1-20")
    assert choose_backup([good, bad], (ONE, TWO), wanted, at(300)) is good
    with pytest.raises(RestoreError, match="do not restore, as their drills found: the newest is 2"):
        choose_backup([bad], (ONE, TWO), wanted, at(300))
    assert [span.backup for span in windows([good, bad], (ONE, TWO))] == ["1"]
    assert windows([bad], (ONE, TWO)) == (), "no moment is promised from it"


def test_what_was_noted_counts_only_while_it_is_still_stored() -> None:
    known = Known(900 * SECOND, gtids(f"{A}:1-20"))
    assert known.until_by((ONE, TWO)) == 900 * SECOND
    cut = file("binlog.000002", f"{A}:1-10", f"{A}:1-17", 210, 280)
    assert str(known.lost((ONE, cut))) == f"{A}:18-20"
    assert known.until_by((ONE, cut)) == 0, "what happened since 280 is not known any more"
    rotated = file("binlog.000003", f"{A}:1-20", f"{A}:1-20", 0, 0, created=310)
    assert known.until_by((rotated,)) == 900 * SECOND, "retention removed the files, and this one comes after them"


def test_a_moment_behind_what_is_left_of_a_file_is_refused() -> None:
    cut = file("binlog.000001", "", f"{A}:1-7", 100, 150)
    refuse_hole(cut, (cut, TWO), at(150))
    refuse_hole(ONE, (ONE, TWO), at(205))
    refuse_hole(TWO, (ONE, TWO), at(400))
    with pytest.raises(RestoreError, match="lies in a gap: 3 transactions") as refused:
        refuse_hole(cut, (cut, TWO), at(160))
    assert "--at" in refused.value.hint
    elsewhere = file("log.000001", f"{A}:1-7", f"{A}:1-10", 151, 200, uuid=B)
    refuse_hole(cut, (cut, elsewhere, TWO), at(160))


# RESET BINARY LOGS AND GTIDS at 300: from then on the same numbers are other transactions.
ANEW = file("binlog.000002", f"{A}:1", f"{A}:1-25", 310, 400)


def test_what_is_numbered_anew_is_not_put_behind_what_was_before() -> None:
    files = (ONE, TWO, ANEW)
    history, within = of_history(ANEW.id, files)
    assert (history.since, within) == (310, (ANEW,))
    old, new = Candidate("old", gtids(f"{A}:1-3"), begun_at=120), Candidate("new", gtids(f"{A}:1-4"), begun_at=320)
    wanted = gtids(f"{A}:1-25")
    assert choose_backup([old, new], within, wanted, at(390), history.since) is new
    with pytest.raises(RestoreError, match="no backup was begun between that and"):
        choose_backup([old], within, wanted, at(390), history.since)
    for earlier in (ONE, TWO):
        history, within = of_history(earlier.id, files)
        assert (history.since, within) == (0, (ONE, TWO))
    assert windows([old, new], files) == (
        Window(0, 300 * SECOND, "old"),
        Window(0, 400 * SECOND, "new"),
    )


def test_neither_a_clock_that_was_set_back_nor_a_failover_is_another_history() -> None:
    back = file("binlog.000003", f"{A}:1-20", f"{A}:1-30", 50, 90)
    for each in (ONE, TWO, back, OTHER):
        assert of_history(each.id, (back, OTHER, ONE, TWO))[1] == (back, OTHER, ONE, TWO)
