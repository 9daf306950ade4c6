"""What is set, where, and that it is all there after a restart: for any server, by any way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.database.option_files import default_files
from wbagent.database.tuning import (
    Settings,
    Tuning,
    not_taken,
    option_file,
    option_lines,
    plan_tuning,
    unknown,
)
from wbagent.database.wanted import WANTED, Standing

RIGHT = {each.name: each.value for each in WANTED}
values = st.sampled_from(
    ["ON", "OFF", "ROW", "STATEMENT", "FULL", "MINIMAL", "0", "1", "16382", "33554432", "999999999"]
)
sources = st.sampled_from(["COMPILED", "GLOBAL", "COMMAND_LINE", "DYNAMIC"])


@st.composite
def servers(draw: st.DrawFn) -> Settings:
    names = draw(st.sets(st.sampled_from([each.name for each in WANTED])))
    current = {name: draw(values) for name in names}
    version = draw(st.sampled_from([(5, 7, 44), (8, 0, 28), (8, 4, 0), (9, 7, 4)]))
    if version < (8, 0, 0):
        return Settings(version, current, persists=False)
    dynamic = sorted(names - {"log_bin"})
    persisted = {name: draw(values) for name in (draw(st.sets(st.sampled_from(dynamic))) if dynamic else ())}
    return Settings(
        version,
        current,
        sources={name: draw(sources) for name in names},
        persisted=persisted,
        persists=draw(st.booleans()),
        lines={name: f"{name} = {draw(values)}" for name in draw(st.sets(st.sampled_from(sorted(names)))) or ()}
        if names
        else {},
    )


def restarted(found: Settings, todo: Tuning) -> Settings:
    """The server after all of it was done and a restart, by the manual: the file, then what was persisted."""
    persisted = dict(found.persisted)
    for step in todo.steps:
        verb, scope, name, *rest = step.statement("").replace("=", " ").split()
        if (verb, scope) == ("SET", "PERSIST"):
            persisted[name] = rest[0]
        elif verb == "RESET":
            persisted.pop(name, None)
    lines = {**found.lines, **todo.lines}
    current = dict(found.current)
    for name in current:
        if name in lines:
            value = lines[name].split(" = ")[1]
            current[name] = "ON" if (name, value) == ("log_bin", "binlog") else value
        if name in persisted and found.persists:
            current[name] = persisted[name]
    started = dict.fromkeys(current, "GLOBAL") if found.sources else {}
    return replace(found, current=current, sources=started, persisted=persisted, lines=lines)


@given(found=servers(), newer=st.booleans(), in_file=st.booleans())
def test_after_a_restart_nothing_is_left_to_do(found: Settings, newer: bool, in_file: bool) -> None:
    todo = plan_tuning(found, newer=newer, in_file=in_file)
    after = restarted(found, todo)
    touched = {change.wanted.name for change in todo.changes}
    assert touched.isdisjoint(change.wanted.name for change in plan_tuning(after, newer=newer, in_file=in_file).changes)


@given(found=servers(), in_file=st.booleans())
def test_nothing_that_is_right_and_lasts_is_touched(found: Settings, in_file: bool) -> None:
    right = replace(found, current={name: RIGHT[name] for name in found.current}, persisted={}, sources={})
    assert plan_tuning(right, in_file=in_file).changes == ()


def test_a_new_server_is_set_by_persist() -> None:
    todo = plan_tuning(unknown())
    assert [step.shown for step in todo.steps][:2] == [
        "SET PERSIST binlog_format = ROW;",
        "SET PERSIST binlog_row_image = MINIMAL;",
    ]
    assert todo.lines == {"log_bin": "log_bin = binlog"}
    assert [change.wanted.name for change in todo.changes if change.restart] == ["log_bin"]


def test_mysql_5_7_is_set_now_and_in_the_file() -> None:
    found = Settings((5, 7, 44), {**RIGHT, "sync_binlog": "0", "sort_buffer_size": "262144"}, persists=False)
    todo = plan_tuning(found)
    assert [step.shown for step in todo.steps] == ["SET GLOBAL sync_binlog = 1;"]
    assert todo.lines == {"sync_binlog": "sync_binlog = 1"}
    assert "sort_buffer_size" not in todo.standings, "only on 8.0.28 and later"


def test_what_is_right_by_set_global_alone_is_made_to_last() -> None:
    found = Settings((8, 4, 0), RIGHT, sources={"sync_binlog": "DYNAMIC"})
    assert [step.shown for step in plan_tuning(found).steps] == ["SET PERSIST sync_binlog = 1;"]
    assert plan_tuning(replace(found, persisted={"sync_binlog": "1"})).changes == ()


def test_a_larger_value_that_does_not_last_is_kept() -> None:
    found = Settings((8, 4, 0), {**RIGHT, "sort_buffer_size": "134217728"}, sources={"sort_buffer_size": "DYNAMIC"})
    assert [step.shown for step in plan_tuning(found).steps] == ["SET PERSIST sort_buffer_size = 134217728;"]


def test_a_persisted_value_that_would_come_back_is_replaced() -> None:
    found = Settings((8, 4, 0), RIGHT, persisted={"sync_binlog": "0"})
    assert [step.shown for step in plan_tuning(found).steps] == ["SET PERSIST sync_binlog = 1;"]


def test_into_the_file_takes_the_persisted_value_away() -> None:
    found = Settings((8, 4, 0), {**RIGHT, "sync_binlog": "0"}, persisted={"sync_binlog": "0"})
    todo = plan_tuning(found, in_file=True)
    assert [step.shown for step in todo.steps] == ["SET GLOBAL sync_binlog = 1;", "RESET PERSIST sync_binlog;"]
    assert todo.lines == {"sync_binlog": "sync_binlog = 1"}


def test_what_our_file_has_stays_there() -> None:
    found = Settings((8, 4, 0), RIGHT, lines={"sort_buffer_size": "sort_buffer_size = 33554432"})
    todo = plan_tuning(found, newer=True)
    assert [step.shown for step in todo.steps] == ["SET GLOBAL sort_buffer_size = 67108864;"]
    assert todo.lines == {"sort_buffer_size": "sort_buffer_size = 67108864"}


def test_where_what_is_persisted_is_not_read_the_file_holds_it() -> None:
    found = Settings((8, 4, 0), {**RIGHT, "sync_binlog": "0"}, persists=False)
    assert plan_tuning(found).lines == {"sync_binlog": "sync_binlog = 1"}


def test_newer_documents_ask_for_more() -> None:
    found = Settings((8, 4, 0), RIGHT)
    assert plan_tuning(found).standings["sort_buffer_size"] is Standing.ENOUGH
    assert plan_tuning(found).changes == ()
    (change,) = plan_tuning(found, newer=True).changes
    assert (change.wanted.name, change.value) == ("sort_buffer_size", "67108864")


def test_the_option_file_keeps_what_it_has() -> None:
    text = option_file(
        {"sync_binlog": "sync_binlog = 0", "log_bin": "log_bin = binlog"}, {"sync_binlog": "sync_binlog = 1"}
    )
    assert text.splitlines()[1:] == ["[mysqld]", "log_bin = binlog", "sync_binlog = 1"]
    assert option_lines(text) == {"log_bin": "log_bin = binlog", "sync_binlog": "sync_binlog = 1"}


def test_the_last_of_the_arguments_counts() -> None:
    arguments = ["--sync_binlog=1", "--sort-buffer-size=1", "--loose-sort_buffer_size=33554432", "--skip-log-bin"]
    assert not_taken(["sync_binlog = 1", "sort_buffer_size = 33554432"], arguments) == []
    assert not_taken(["sync_binlog = 1"], [*arguments, "--sync-binlog=0"]) == ["sync_binlog = 1"]
    assert not_taken(["log_bin = binlog"], arguments) == ["log_bin = binlog"]


@pytest.mark.parametrize("text", ["", "Default options are read from nowhere\n"])
def test_no_option_files(text: str) -> None:
    assert default_files(text) == []


def test_option_files_as_mysqld_names_them() -> None:
    head = "Default options are read from the following files in the given order:\n"
    text = f"{head}/etc/my.cnf /etc/mysql/my.cnf ~/.my.cnf \n"
    assert [str(path) for path in default_files(text)] == ["/etc/my.cnf", "/etc/mysql/my.cnf"]
