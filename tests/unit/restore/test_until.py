"""Moments as people write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.errors import UsageError
from wbagent.restore.until import microseconds_of, parse_until, show

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.fixture(autouse=True)
def tokyo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()


@pytest.mark.parametrize(
    "text", ["2026-11-23 14:05:00", "2026-11-23T14:05", "2026-11-23 05:05:00Z", "2026-11-23 06:05:00+01:00"]
)
def test_local_time_or_an_offset(text: str) -> None:
    assert parse_until(text, None).at == 1_795_410_300_000_000
    assert show(1_795_410_300_000_000) == "2026-11-23 14:05:00+09:00"


def test_fractions_are_exact() -> None:
    assert parse_until("2026-11-23 14:05:00.000001", None).at == 1_795_410_300_000_001
    assert show(1_795_410_300_999_999) == "2026-11-23 14:05:00.999999+09:00"


@given(st.floats(1e9, 4e9))
def test_a_moment_is_no_later_than_itself(seconds: float) -> None:
    assert parse_until(datetime.fromtimestamp(seconds, UTC).isoformat(), None).at == microseconds_of(seconds)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-10-25 02:30:00", ("2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00")),
        ("2026-03-29 02:30:00", ("2026-03-29 03:30:00+02:00", "2026-03-29 01:30:00+01:00")),
    ],
)
def test_an_hour_that_comes_twice_or_never(text: str, meant: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    with pytest.raises(UsageError, match="twice or never") as caught:
        parse_until(text, None)
    assert all(f'--at "{each}"' in caught.value.hint for each in meant)
    assert parse_until(f"{text}+01:00", None).at % 1_000_000 == 0
    parse_until("2026-10-25 03:30:00", None)


def test_a_transaction() -> None:
    assert str(parse_until(None, f"{A}:7")) == f"just before {A}:7"


@pytest.mark.parametrize(("at", "before"), [("yesterday", None), ("14:05", None), (None, "7"), (None, f"{A}:1-7")])
def test_what_is_neither(at: str | None, before: str | None) -> None:
    with pytest.raises(UsageError):
        parse_until(at, before)
