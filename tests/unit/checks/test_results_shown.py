"""The page of results: read at 80 columns, on a wide terminal, without colours, and by grep."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from wbagent.checks.check import Finding, Result, fail, note, passed, warn
from wbagent.cli.check_shown import show

COMMAND = "echo '{\"live-restore\": true}' > /etc/docker/daemon.json && systemctl reload docker && systemctl restart x"
LONG = "a finding that goes on and on, so that it does not fit into one line of a terminal of 80 columns"


def result(
    finding: Finding, area: str = "host", check: str = "memory", why: str = "because", section: str = ""
) -> Result:
    return Result(area, check, why, section, finding, 0.1)


RESULTS = (
    result(passed("23.5G of memory")),
    result(note("2 processors; more is better"), check="processors"),
    result(warn(LONG, needed="a shorter one", remedy=COMMAND), check="live-restore", section="Container"),
    result(
        fail("off", needed="on", remedy="first line\nsecond line", about="sort_buffer_size"), "database", "settings"
    ),
    result(fail("gone", needed="there", remedy="", about="binlog_format"), "database", "settings"),
)


def page(results: tuple[Result, ...], width: int = 80, *, terminal: bool = True, colours: bool = False) -> str:
    file = StringIO()
    # Of a file rich finds out itself that it takes none.
    system: Literal["standard", "auto"] | None = ("standard" if terminal else "auto") if colours else None
    show(results, Console(file=file, width=width, force_terminal=terminal, color_system=system, highlight=False))
    return file.getvalue()


PAGE = f"""\
host
  pass  memory                  23.5G of memory
  note  processors              2 processors; more is better
  WARN  live-restore            a finding that goes on and on, so that it does
                                not fit into one line of a terminal of 80
                                columns
        needed  a shorter one
        why     because (Container)
        try     {COMMAND}
database
  FAIL  settings:               off
        sort_buffer_size
        needed  on
        try     first line
                second line
  FAIL  settings:               gone
        binlog_format
        needed  there

FAIL    database settings: sort_buffer_size, database settings: binlog_format
WARN    host live-restore
1 passed, 1 to note, 1 to warn of, 2 failed
"""


def test_at_80_columns_nothing_but_commands_is_wider() -> None:
    assert page(RESULTS) == PAGE


def test_a_wide_terminal_gives_each_finding_its_line() -> None:
    assert f"  WARN  live-restore                {LONG}\n" in page(RESULTS, 160)
    assert "settings: sort_buffer_size  off\n" in page(RESULTS, 160)


def test_where_nobody_looks_each_finding_is_one_line_without_colours() -> None:
    text = page(RESULTS, 40, terminal=False, colours=True)
    assert "\033" not in text
    assert any(line.endswith(LONG) for line in text.splitlines())


def test_prose_is_broken_and_commands_are_not() -> None:
    told = fail(LONG, needed=f"needed: {LONG}", remedy=COMMAND)
    lines = page((result(told, why=f"why: {LONG}", section="Container"),)).splitlines()
    assert [line for line in lines if len(line) > 80] == [f"{'':8}{'try':8}{COMMAND}"]


def test_why_is_told_once() -> None:
    text = page(RESULTS)
    assert text.count("why ") == 1


def test_colours_are_of_the_verdict_alone() -> None:
    text = page(RESULTS, colours=True)
    assert "\033[1;31m  FAIL\033[0m" in text
    assert "\033[32m  pass\033[0m" in text


def test_it_ends_with_what_is_amiss() -> None:
    assert page(RESULTS).splitlines()[-3:] == [
        "FAIL    database settings: sort_buffer_size, database settings: binlog_format",
        "WARN    host live-restore",
        "1 passed, 1 to note, 1 to warn of, 2 failed",
    ]


def test_a_page_without_results() -> None:
    assert page(()).strip() == "0 passed, 0 to note, 0 to warn of, 0 failed"


@pytest.mark.parametrize("evil", ["\033[2J\033]0;title\007", "a\rb", "[bold]not markup[/bold]"])
def test_names_that_others_chose_do_not_steer_the_terminal(evil: str) -> None:
    text = page((result(fail(evil, needed=evil, remedy=evil, about=evil), check=evil),))
    assert not {"\033", "\007", "\r"} & set(text)
    assert "[bold]" in text or "bold" not in evil


@given(st.text(max_size=200), st.text(max_size=60), st.integers(min_value=64, max_value=200))
def test_no_text_is_wider_than_the_terminal_or_lost(text: str, name: str, width: int) -> None:
    shown = page((result(warn(text, needed=text, remedy="", about=name)),), width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert shown.endswith("0 passed, 0 to note, 1 to warn of, 0 failed\n")
    letters = "".join(letter for letter in text if letter.isprintable() and not letter.isspace())
    assert not Counter(letters) - Counter(shown)
