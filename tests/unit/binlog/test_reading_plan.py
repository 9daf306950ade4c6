"""Where reading goes on: never a hole without a word, whatever happened to the server and its files."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from wbagent.binlog.gtid import GtidSet
from wbagent.binlog.layout import FileId
from wbagent.binlog.plan import FIRST, Offer, Offered, decide, leads, unlogged, whole
from wbagent.binlog.scan import Mark

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "40342206-e9a9-11f1-8fc5-02fc00000001"


def upto(number: int, uuid: str = A) -> GtidSet:
    return GtidSet.parse(f"{uuid}:1-{number}") if number else GtidSet()


def offer(*starts: int, executed: int, uuid: str = A, size: int = 5000) -> Offer:
    """A server whose files begin after so many transactions of A."""
    files = tuple(Offered(f"binlog.{number:06d}", size, upto(start)) for number, start in enumerate(starts, 1))
    return Offer(uuid, "9.7.4", upto(executed), files)


def stored(
    previous: int, executed: int, name: str = "binlog.000002", uuid: str = A, end: int = 900
) -> dict[FileId, Mark]:
    file = FileId.of(uuid, name, 1000 + previous)
    return {file: Mark(end=end, created=1000, previous=upto(previous), executed=upto(executed))}


def test_it_goes_on_in_the_midst_of_its_file() -> None:
    plan = decide(stored(10, 15), offer(0, 10, 20, executed=30), None)
    assert (plan.file, plan.position, plan.gap) == ("binlog.000002", 900, "")
    assert plan.have == upto(15)


def test_the_file_is_gone_but_nothing_is_missing() -> None:
    gone = Offer(A, "", upto(30), (Offered("binlog.000003", 10, upto(15)), Offered("binlog.000004", 10, upto(20))))
    plan = decide(stored(10, 15), gone, None)
    assert (plan.file, plan.position, plan.gap) == ("binlog.000003", FIRST, "")


def test_files_were_purged_too_early() -> None:
    plan = decide(stored(10, 15), Offer(A, "", upto(30), (Offered("binlog.000004", 10, upto(20)),)), upto(12))
    assert plan.file == "binlog.000004"
    assert "5 transactions" in plan.gap
    assert f"{A}:16-20" in plan.gap
    assert plan.have == GtidSet()


def test_another_server_with_the_same_history() -> None:
    plan = decide(stored(10, 15), offer(0, 4, 12, 20, executed=30, uuid=B), None)
    assert (plan.file, plan.position, plan.gap) == ("binlog.000003", FIRST, "")


def test_another_server_that_lacks_what_was_stored() -> None:
    plan = decide(stored(10, 15), offer(0, 4, 12, executed=14, uuid=B), upto(5))
    assert "1 transactions" in plan.gap
    assert plan.file == "binlog.000002", "the newest backup can be rolled forward from there"


def test_the_same_name_after_a_reset() -> None:
    plan = decide(stored(0, 15, "binlog.000001"), offer(0, executed=3), upto(5))
    assert "12 transactions" in plan.gap
    assert (plan.file, plan.position) == ("binlog.000001", FIRST)


def test_the_server_lost_the_end_of_its_file_in_a_crash() -> None:
    plan = decide(stored(10, 15, end=6000), offer(0, 10, executed=15), None)
    assert "is shorter on the server" in plan.gap


def test_the_server_counted_anew_and_went_on_beyond_what_is_stored() -> None:
    """What is stored under those numbers is not what the server has under them."""
    kept = stored(10, 15, "binlog.000007")
    for files in (offer(0, 10, executed=30), offer(0, 5, 9, 11, 12, 13, 14, executed=30)):
        assert "began anew" in decide(kept, files, None).gap
    other_base = {replace(file, name="log.000007"): mark for file, mark in kept.items()}
    assert not decide(other_base, offer(0, 10, executed=30), None).gap, "log_bin was given another name"
    deleted = replace(offer(15, 20, executed=30), unlogged=upto(15))
    assert not decide(kept, deleted, None).gap, "they were deleted by hand, and all of them are stored"
    known = stored(10, 15)
    assert "began anew" in decide(known, offer(0, 10, executed=30), None, another=max(known)).gap


def test_an_offset_beyond_the_protocol_is_read_from_the_beginning() -> None:
    plan = decide(stored(10, 15, end=1 << 33), offer(0, 10, executed=15, size=1 << 34), None)
    assert (plan.file, plan.position, plan.gap) == ("binlog.000002", FIRST, "")


def test_the_first_start_covers_the_newest_backup() -> None:
    assert decide({}, offer(0, 10, 20, executed=30), upto(12)).file == "binlog.000002"
    assert decide({}, offer(0, 10, 20, executed=30), None).file == "binlog.000003"
    assert decide({}, offer(5, 10, 20, executed=30), upto(3)).file == "binlog.000003"


@given(st.data())
def test_without_a_gap_nothing_is_left_out(data: st.DataObject) -> None:
    """Whatever is stored and offered: what the server has beyond it comes with the file that is read, or after."""
    executed = data.draw(st.integers(0, 30))
    starts = sorted(data.draw(st.sets(st.integers(0, executed), min_size=1, max_size=4)))
    previous = data.draw(st.integers(0, 30))
    have = data.draw(st.integers(previous, 35))
    uuid = data.draw(st.sampled_from([A, B]))
    backup = data.draw(st.one_of(st.none(), st.integers(0, 35)))
    offered = offer(*starts, executed=executed, uuid=uuid)
    name = data.draw(st.sampled_from([file.name for file in offered.files]))
    plan = decide(stored(previous, have, name), offered, None if backup is None else upto(backup))
    begun = next(file for file in offered.files if file.name == plan.file)
    if not plan.gap:
        assert begun.previous <= upto(have)
        assert plan.position == FIRST or begun.previous == upto(previous)
        assert upto(have) <= offered.executed


def test_a_backup_is_rolled_forward_over_files_without_a_gap_only() -> None:
    chain = stored(0, 10, "binlog.000001") | stored(10, 20, "binlog.000002") | stored(25, 30, "binlog.000003")
    assert not leads(upto(12), upto(30), whole(chain.values()))
    assert leads(upto(25), upto(30), whole(chain.values()))
    assert leads(upto(3), upto(20), whole(chain.values()))
    assert not leads(upto(31), upto(30), whole(chain.values())), "what it has beyond the end was never there"


def test_what_no_binary_log_of_the_server_names() -> None:
    both = upto(100) | upto(5, B)
    assert unlogged(upto(100), GtidSet()) == upto(100), "a restored clone"
    assert unlogged(both, upto(5, B)) == upto(100), "and then PURGE BINARY LOGS"
    assert unlogged(upto(20), upto(20)) == GtidSet(), "PURGE BINARY LOGS"
    assert unlogged(GtidSet(), GtidSet()) == GtidSet(), "RESET BINARY LOGS AND GTIDS"
    assert unlogged(upto(20), GtidSet()) == upto(20), "the binary logs were lost"
    assert unlogged(upto(20), upto(40)) == GtidSet(), "purged between two questions"


@given(st.data())
def test_whatever_became_of_the_server_no_gap_is_hidden_and_none_is_made_up(data: st.DataObject) -> None:
    """A server goes on as itself, from a clone, or as a replica, with some of its files purged or lost.

    A gap is told exactly when it executed what is neither stored nor in a file of it; what is stored from then on
    says of each file what was executed before it.
    """
    had = data.draw(st.integers(1, 20), label="executed until then")
    have = data.draw(st.integers(0, 25), label="stored of that")
    what = data.draw(st.sampled_from(["itself", "clone", "replica", "reset"]))
    uuid = A if what in {"itself", "reset"} else B
    # Files begin after so many of A, of which the files name those behind `hidden`, and so many of B.
    hidden = had if what == "clone" else 0
    if what == "reset":
        had = 0
    numbers = sorted(data.draw(st.lists(st.integers(hidden, had), max_size=3))) if what != "clone" else []
    begins = [(number, 0) for number in [hidden, *numbers]]
    new = data.draw(st.integers(0, 9), label="executed by the server of today")
    begins += [(had, number) for number in sorted(data.draw(st.lists(st.integers(0, new), max_size=3)))]
    if data.draw(st.booleans(), label="binary logs lost"):
        hidden, new_hidden = had, new
        begins, new = [(had, new)], new + data.draw(st.integers(0, 5))
    else:
        new_hidden = 0
        begins = begins[data.draw(st.integers(0, len(begins) - 1), label="purged") :]
    unnamed = upto(hidden) | upto(new_hidden, B)
    heads = [(upto(a) | upto(b, B)) - unnamed for a, b in begins]
    beyond = unlogged(heads[0] | unnamed, heads[0])
    assert beyond == unnamed
    files = tuple(Offered(f"log.{number:06d}", 5000, head | beyond) for number, head in enumerate(heads, 1))
    assert [file.previous for file in files] == [upto(a) | upto(b, B) for a, b in begins], "the truth"
    executed = upto(had) | upto(new, B)
    plan = decide(stored(0, have, "old.000001"), Offer(uuid, "9.7.4", executed, files, beyond), None)
    in_files = executed - files[0].previous
    lost = executed - upto(have) - in_files
    assert bool(plan.gap) == bool(lost or upto(have) - executed)


def test_a_backup_of_a_restored_clone_is_one_to_begin_from() -> None:
    head = Mark(end=100, created=1).after(upto(100))
    mark = replace(head, executed=head.executed | upto(5, B))
    assert mark.gtids == upto(5, B)
    assert leads(upto(100) | upto(3, B), mark.executed, whole([mark]))
    assert not leads(upto(90) | upto(3, B), mark.executed, whole([mark])), "a gap stays one"
