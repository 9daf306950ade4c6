"""What is said of each release of MySQL, of Percona's and of MariaDB's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.checks.check import Verdict
from wbagent.checks.database.version import verdict
from wbagent.database.facts import flavour_of, parse_version


@pytest.mark.parametrize(
    ("text", "comment", "expected", "words"),
    [
        ("5.6.51", "MySQL Community Server (GPL)", "fail", "too old"),
        ("5.7.44", "MySQL Community Server (GPL)", "warn", "the guide allows it"),
        ("8.0.27", "MySQL Community Server - GPL", "fail", "too old"),
        ("8.0.28", "MySQL Community Server - GPL", "warn", "8.0.44 or later"),
        ("8.0.43", "MySQL Community Server - GPL", "warn", "8.0.44 or later"),
        ("8.0.44", "MySQL Community Server - GPL", "warn", "no fixes since April 2026"),
        ("8.1.0", "MySQL Community Server - GPL", "warn", "innovation"),
        ("8.3.0", "MySQL Community Server - GPL", "warn", "innovation"),
        ("8.4.0", "MySQL Community Server - GPL", "pass", "MySQL 8.4.0"),
        ("8.4.7-7", "Percona Server (GPL), Release 7, Revision 1a2b", "pass", "Percona Server 8.4.7-7"),
        ("8.0.36-28", "Percona Server (GPL), Release 28", "warn", "Percona Server 8.0.36-28"),
        ("9.7.4-2", "(Debian)", "note", "newer than 8.4"),
        ("11.8.3-MariaDB-0+deb13u1 from Debian", "-- Please help get to 10k stars", "fail", "no MySQL"),
        ("10.11.6-MariaDB", "MariaDB Server", "fail", "no MySQL"),
    ],
)
def test_verdict(text: str, comment: str, expected: str, words: str) -> None:
    found = verdict(parse_version(text), text, flavour_of(f"{text} {comment}"))
    assert found.verdict == expected
    assert words in found.found
    assert bool(found.remedy) is (expected in {"warn", "fail"})


def test_5_7_goes_by_8_0() -> None:
    assert "5.7 to 8.0 first" in verdict((5, 7, 44), "5.7.44", "MySQL").remedy


def test_44_is_recommended_only_below_it() -> None:
    assert "recommends" not in verdict((8, 0, 44), "", "MySQL").found


@given(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 60)))
def test_a_newer_release_is_never_worse_within_what_the_guide_allows(version: tuple[int, int, int]) -> None:
    found = verdict(version, "", "MySQL").verdict
    fit = version >= (8, 0, 28) or version[:2] == (5, 7)
    assert (found is not Verdict.FAIL) is fit
