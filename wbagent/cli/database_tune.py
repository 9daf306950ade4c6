"""What `wbagent database tune` does: look, show the table, ask, set, write the option file, say what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from wbagent.cli.confirming import confirm
from wbagent.cli.database_accounts import tell
from wbagent.config.dsn import MysqlURL
from wbagent.config.secret_place import put_file
from wbagent.database.administrator import administrator, carry_out, read_settings, where
from wbagent.database.facts import show_version
from wbagent.database.local import is_local
from wbagent.database.option_files import Program, drop_in, running_program, start_arguments
from wbagent.database.tuning import Change, Settings, Tuning, not_taken, option_file, option_lines, plan_tuning, unknown
from wbagent.database.wanted import WANTED, Standing
from wbagent.errors import DatabaseError


@dataclass(frozen=True, slots=True)
class _File:
    """Our option file, or why there is none; `unit` is MySQL's own, "" where it is not known."""

    path: Path | None
    why_not: str
    program: Program | None = None

    @property
    def unit(self) -> str:
        return self.program.unit if self.program else ""

    def lines(self) -> dict[str, str]:
        """What stands in it."""
        try:
            return option_lines(self.path.read_text()) if self.path else {}
        except OSError:
            return {}


def tune(door: MysqlURL | None, *, newer: bool, in_file: bool, sql: bool, yes: bool) -> None:
    """Bring every setting to what is wanted, and say what still needs a restart; MySQL is never restarted here."""
    if door is None:
        _print_sql(plan_tuning(unknown(), newer=newer, in_file=in_file), "for MySQL 8.4, since none was asked")
        return
    with administrator(door) as connection:
        found, pid_file = read_settings(connection)
        file = _file(door, pid_file)
        persists = found.persists and not (file.program and file.program.reads_nothing)
        found = replace(found, lines=file.lines(), persists=persists)
        todo = plan_tuning(found, newer=newer, in_file=in_file)
        if sql:
            _print_sql(todo, f"for MySQL {show_version(found.version)} at {where(door)}, as it is now")
            return
        click.echo(f"MySQL {show_version(found.version)} at {where(door)}, as {door.user}")
        _show_table(todo, found)
        fresh = {name: line for name, line in todo.lines.items() if found.lines.get(name) != line}
        for step in todo.steps:
            tell("to do", step.shown)
        if fresh and file.path:
            tell("to do", "\n".join([f"write into {file.path}", *fresh.values()]))
        if not todo.changes:
            click.echo("All is as it is wanted, and stays so after a restart of MySQL.")
            return
        if todo.steps or (fresh and file.path):
            confirm(yes=yes, to_see="--sql")
        if fresh and file.path:
            put_file(file.path, option_file(found.lines, todo.lines).encode(), 0o644)
            tell("done", f"write {file.path}")
        carry_out(connection, door, todo.steps, "", lambda step: tell("done", step.purpose))
        after, _ = read_settings(connection)
    if todo.steps:
        _show_after(todo, after)
    if todo.lines:
        _check_file(file, todo.lines)
    _say_what_is_left(todo, file)


def _file(door: MysqlURL, pid_file: str) -> _File:
    if not is_local(door):
        return _File(None, "the database is on another host")
    program = running_program(pid_file)
    if isinstance(program, str):
        return _File(None, program)
    place = drop_in(program)
    return _File(None, place, program) if isinstance(place, str) else _File(place, "", program)


def _check_file(file: _File, lines: Mapping[str, str]) -> None:
    """Ask the program itself whether it would go by the lines. Raises DatabaseError."""
    if file.path is None or file.program is None:
        return
    ignored = not_taken(lines.values(), start_arguments(file.program))
    if ignored:
        raise DatabaseError(
            f"{file.program.path} would not start with what {file.path} says: {'; '.join(ignored)}",
            hint=f"another file sets it later; find it: grep -rn {ignored[0].split()[0]} {file.path.parent.parent}",
        )
    tell("tried", f"{file.program.path} reads {file.path} and goes by it")


def _show_table(todo: Tuning, found: Settings) -> None:
    """A line each: the setting, what it is, what is wanted, and how it gets there."""
    changes = {change.wanted.name: change for change in todo.changes}
    shown = [("setting", "now", "wanted", "")]
    for wanted in WANTED:
        change = changes.get(wanted.name)
        if wanted.name in todo.standings:
            now = found.current[wanted.name]
            least = "at least " if wanted.at_least and now != wanted.value else ""
            target = change.value if change else f"{least}{wanted.value}"
            shown.append((wanted.name, now, target, _how(change, todo.standings[wanted.name], wanted.better)))
    _columns(shown)


def _show_after(todo: Tuning, after: Settings) -> None:
    click.echo("")
    names = [(change.wanted.name, change.now) for change in todo.changes]
    _columns([("setting", "before", "now"), *((name, before, after.current[name]) for name, before in names)])


def _columns(table: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        click.echo("  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _how(change: Change | None, standing: Standing, better: str) -> str:
    if change:
        return change.how
    return f"right (W&B's newer documents: {better}; --newer)" if standing is Standing.ENOUGH else "right"


def _say_what_is_left(todo: Tuning, file: _File) -> None:
    lines = todo.lines
    if lines and file.path is None:
        click.echo(f"\nNot written, since {file.why_not}. In an option file of that server:\n")
        click.echo("\n".join(f"    {line}" for line in ("[mysqld]", *lines.values())))
    restart = [change.wanted.name for change in todo.changes if change.restart]
    if restart:
        command = f"systemctl restart {file.unit.removesuffix('.service')}" if file.unit else "restart MySQL there"
        click.echo(f"\nA restart of MySQL is needed for {_named(restart)}, and W&B stands still meanwhile: {command}")
    sessions = [change.wanted.name for change in todo.changes if change.wanted.per_session and not change.restart]
    if sessions:
        click.echo(
            f"\nConnections that are open keep the old {_named(sessions)}; on the server's host:"
            " systemctl restart wandb-local"
        )


def _named(names: Iterable[str]) -> str:
    return ", ".join(names)


def _print_sql(todo: Tuning, words: str) -> None:
    click.echo(f"-- The settings that W&B asks of MySQL: {words}")
    for step in todo.steps:
        click.echo(step.shown)
    if todo.lines:
        click.echo("-- In an option file of the server:")
        for line in ("[mysqld]", *todo.lines.values()):
            click.echo(f"-- {line}")
    restart = [change.wanted.name for change in todo.changes if change.restart]
    if restart:
        click.echo(f"-- A restart of MySQL is needed for {_named(restart)}.")
