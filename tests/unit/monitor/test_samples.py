"""A year of samples: what is kept at which resolution, and that it stays bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbagent.errors import StateError
from wbagent.moment import Moment
from wbagent.monitor.sample import Sample
from wbagent.monitor.samples import LEVELS, MOST_SERIES, Collector, Samples

DAY = 86400.0
START = 1_799_971_200.0
LENGTHS = [length for length, _ in LEVELS]


def at(seconds: float) -> Moment:
    return Moment(START + seconds, seconds, "boot")


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 4000), st.floats(-1e6, 1e6)), min_size=1, max_size=40))
def test_every_level_has_every_sample_whatever_is_stored_when(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float]]
) -> None:
    """Mean, least and most of each bucket, read off the whole list."""
    path = tmp_path_factory.mktemp("samples") / "samples.db"
    collector, now, taken = Collector(), 0, []
    for passed, value in steps:
        now += passed
        taken.append((int(START) + now, value))
        collector.take([Sample("n", value)], START + now)
        if passed % 3 == 0:
            collector.store(path, at(now))
    collector.store(path, at(now))
    with Samples(path, read_only=True) as samples:
        for length in LENGTHS:
            expected: dict[int, list[float]] = {}
            for moment, value in taken:
                expected.setdefault(moment // length * length, []).append(value)
            found = {bucket.at: bucket for bucket in samples.read("n", (), 0.0, length)}
            assert set(found) == set(expected)
            for begins, values in expected.items():
                assert (found[begins].least, found[begins].most) == (min(values), max(values))
                assert found[begins].mean == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_what_is_old_is_forgotten_level_by_level(tmp_path: Path) -> None:
    path, collector = tmp_path / "samples.db", Collector()
    for day in range(400):
        collector.take([Sample("n", float(day))], START + day * DAY)
        collector.store(path, at(day * DAY))
    with Samples(path, read_only=True) as samples:
        kept = {length: len(samples.read("n", (), 0.0, length)) for length in LENGTHS}
    assert kept == {60: 3, 600: 15, 3600: 367}


def test_a_disk_that_is_gone_is_forgotten_in_the_end(tmp_path: Path) -> None:
    path, collector = tmp_path / "samples.db", Collector()
    collector.take([Sample("n", 1.0, (("path", "/old"),))], START)
    collector.store(path, at(0))
    collector.take([Sample("n", 1.0)], START + 400 * DAY)
    collector.store(path, at(400 * DAY))
    with Samples(path, read_only=True) as samples:
        assert samples.series() == (("n", ()),)


def test_no_more_than_so_many_series(tmp_path: Path) -> None:
    path, collector = tmp_path / "samples.db", Collector()
    collector.take([Sample("n", 1.0, (("path", str(number)),)) for number in range(2 * MOST_SERIES)], START)
    collector.store(path, at(0))
    with Samples(path, read_only=True) as samples:
        assert len(samples.series()) == MOST_SERIES


def test_buckets_of_a_future_that_was_taken_back_are_forgotten(tmp_path: Path) -> None:
    path, collector = tmp_path / "samples.db", Collector()
    collector.take([Sample("n", 1.0)], START + 40 * DAY)
    collector.store(path, at(40 * DAY))
    collector.take([Sample("n", 2.0)], START)
    collector.store(path, Moment(START, 41 * DAY, "boot"))
    with Samples(path, read_only=True) as samples:
        assert [bucket.mean for bucket in samples.read("n", (), 0.0, 3600)] == [2.0]


def test_a_damaged_file_begins_anew(tmp_path: Path) -> None:
    path, collector = tmp_path / "samples.db", Collector()
    path.write_bytes(b"this is no database" * 1000)
    collector.take([Sample("n", 1.0)], START)
    collector.store(path, at(0))
    with Samples(path, read_only=True) as samples:
        assert len(samples.series()) == 1


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no file of samples"):
        Samples(tmp_path / "samples.db", read_only=True)
    (tmp_path / "directory.db").mkdir()
    collector = Collector()
    collector.take([Sample("n", 1.0)], START)
    with pytest.raises(StateError, match="cannot be used"):
        collector.store(tmp_path / "directory.db", at(0))
