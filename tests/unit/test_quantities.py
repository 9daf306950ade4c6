"""Durations and sizes: as people write them, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("5m", 300),
        ("5min", 300),
        ("2h 30min", 9000),
        ("1d", 86400),
        ("250ms", 0.25),
        (1.5, 1.5),
        ("1H", 3600),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5x", "m", "-5m", "5m!", "0", 0, -1, True, None, [], "5m,", "1e3", "11y"])
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("8G", 8 * 1024**3), ("512M", 512 * 1024**2), ("1.5K", 1536), ("8GiB", 8 * 1024**3), (17, 17)]
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8X", "G", "-8G", "0", 0, True, None, "8 G B"])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.integers(10, 300 * 86400))
def test_a_shown_duration_is_read_back_within_its_precision(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.05)


@given(st.integers(1, 2**50))
def test_a_shown_size_is_read_back_within_its_precision(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.01)


def test_short_spans_keep_their_digits() -> None:
    assert [format_duration(value) for value in (0.0032, 0.62, 3.0, 41, 5400)] == [
        "3ms",
        "0.62s",
        "3s",
        "41s",
        "1h 30min",
    ]
