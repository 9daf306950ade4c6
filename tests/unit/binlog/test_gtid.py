"""Sets of GTIDs behave as sets, and are read and written as MySQL does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.binlog.gtid import Gtid, GtidSet, Source, parse_gtid

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "40342206-e9a9-11f1-8fc5-02fc00000001"
SOURCES = [Source(A), Source(A, "tag"), Source(B)]

numbers = st.sets(st.tuples(st.sampled_from(SOURCES), st.integers(1, 30)))


def made(members: set[tuple[Source, int]]) -> GtidSet:
    return GtidSet.of((source, (number, number + 1)) for source, number in members)


def members(gtids: GtidSet) -> set[tuple[Source, int]]:
    return {(source, number) for source in SOURCES for number in range(1, 32) if Gtid(source, number) in gtids}


@given(numbers, numbers)
def test_they_are_sets(one: set[tuple[Source, int]], other: set[tuple[Source, int]]) -> None:
    left, right = made(one), made(other)
    assert members(left | right) == one | other
    assert members(left - right) == one - other
    assert members(left & right) == one & other
    assert (left <= right) == (one <= other)
    assert len(left) == len(one)
    assert bool(left) == bool(one)
    assert (left == right) == (one == other)


@given(numbers)
def test_what_is_written_is_read(one: set[tuple[Source, int]]) -> None:
    assert GtidSet.parse(str(made(one))) == made(one)


def test_as_mysql_writes_them() -> None:
    text = f"{A}:1-12:mytag:1,\n{B}:5"
    parsed = GtidSet.parse(text)
    assert Gtid(Source(A, "mytag"), 1) in parsed
    assert Gtid(Source(A), 12) in parsed
    assert Gtid(Source(B), 5) in parsed
    assert str(parsed) == text.replace("\n", "")
    assert GtidSet.parse("") == GtidSet()
    assert str(GtidSet.parse(f"{A.upper()}:3-5:1-2")) == f"{A}:1-5"


@pytest.mark.parametrize("text", ["x", A, f"{A}:", f"{A}:0", f"{A}:1-x", f"{A}:1:Tag-2", "1-2"])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        GtidSet.parse(text)


def test_one_transaction() -> None:
    assert parse_gtid(f"{A}:23") == Gtid(Source(A), 23)
    assert str(parse_gtid(f"{A}:tag:23")) == f"{A}:tag:23"
    with pytest.raises(ValueError, match="one transaction"):
        parse_gtid(f"{A}:1-2")
