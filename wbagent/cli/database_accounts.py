"""What `wbagent database init` and `user` share: look, show what will be done, ask, write the password down, do it.

The password of a new account is on the disk before MySQL knows it: whatever interrupts this, the next run uses that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import click

from wbagent.cli.confirming import confirm
from wbagent.cli.restore import secret_text
from wbagent.config.connection_string import ConnectionStringError
from wbagent.config.dsn import MysqlURL
from wbagent.config.layers import KeyPath
from wbagent.config.secret_place import FilePlace, SecretPlace, place_for
from wbagent.database.account import Account, check_names, new_password
from wbagent.database.administrator import (
    administrator,
    carry_out,
    look,
    read_settings,
    refuse_replica,
    through,
    try_account,
    where,
)
from wbagent.database.connection import Connection
from wbagent.database.facts import show_version
from wbagent.database.local import is_local
from wbagent.database.option_files import last_file
from wbagent.database.provisioning import PLACEHOLDER, RETAINS_SINCE, Found, Plan
from wbagent.errors import ConfigError, DatabaseError, UsageError

# The units that keep a connection string as it was when they started.
_USERS: Final = {"server": "wbagent wandb-local", "database": "wbagent wbagent-binlog"}
# As late in its directory as the one that `tune` writes, and apart from it.
_LISTENING: Final = "zz-wbagent-listens.cnf"
# What is assumed of a server that cannot be asked.
_NEWEST: Final = (8, 4, 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose account: the key that will name it, and what the configuration says there already, from where."""

    key: KeyPath
    account: Account
    database: str
    of_this_host: bool
    configured: MysqlURL | None
    origin: str

    @property
    def configured_account(self) -> MysqlURL | None:
        """What the configuration says, when it says it of this account and database."""
        wanted = (self.account.user, self.database)
        return (
            self.configured if self.configured and (self.configured.user, self.configured.database) == wanted else None
        )


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options that both commands have."""

    new_password: bool
    password_file: str | None
    into: str | None
    sql: bool
    yes: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """From click's."""
        return cls(**{name: options[name] for name in cls.__slots__})


# The way to the server by the administrator's own, and by where MySQL listens.
ToURL = Callable[[MysqlURL, Found], MysqlURL]


@dataclass(frozen=True, slots=True)
class _Password:
    """The password, where it is from, and whether it has still to be written down."""

    text: str = field(repr=False)
    words: str
    write: bool


def provide(
    asked: Asked, door: MysqlURL | None, to_url: ToURL, plan: Callable[[Found, bool], Plan], wishes: Wishes
) -> None:
    """Make what lacks, as `plan` says. With `door` None only print what a new server would need."""
    check_names(asked.account, asked.database)
    if door is None:
        _print_sql(plan(Found(_NEWEST), False), asked, "for a new MySQL 8.4, since none was asked")
        return
    with administrator(door) as connection:
        refuse_replica(connection, door)
        found = look(connection, asked.account, asked.database)
        if found.listens_here_only and is_local(door):
            found = replace(found, option_file=str(last_file(read_settings(connection)[1], _LISTENING) or ""))
        todo = plan(found, wishes.new_password)
        if wishes.sql:
            _print_sql(todo, asked, f"for MySQL {show_version(found.version)} at {where(door)}, as it is now")
            return
        _make(connection, asked, door, to_url, found, todo, wishes)
    if todo.wrong:
        sys.exit(1)


def _make(
    connection: Connection, asked: Asked, door: MysqlURL, to_url: ToURL, found: Found, todo: Plan, wishes: Wishes
) -> None:
    place = _place(asked, wishes)
    there = found.grants is not None
    password = _password(asked, wishes, place, there=there)
    way = to_url(door, found)
    url = replace(way, user=asked.account.user, password=password.text, database=asked.database)
    _show(todo, found, door, f"write the connection string to {place} ({password.words})" if password.write else "")
    if todo.steps or password.write:
        confirm(yes=wishes.yes, to_see="--sql")
    if password.write and not there:
        _write(place, url)
    carry_out(connection, door, todo.steps, password.text, lambda step: tell("done", step.purpose))
    if not password.text:
        click.echo(f"The password of {asked.account} was not changed, and is not known here; a new one: --new-password")
        return
    made = found.database is not None or asked.key == ("server", "mysql")
    _try(asked, through(url, door), password.words, database=asked.database if made else "")
    # Of an account that was there, a password has to prove right before it takes the place of one that did.
    if password.write and there:
        _write(place, url)
    _say_what_names_it(asked, place, wrote=password.write)
    if there and wishes.new_password and found.version >= RETAINS_SINCE:
        click.echo(f"The old password is taken too, until: ALTER USER {asked.account} DISCARD OLD PASSWORD;")


def tell(word: str, text: str) -> None:
    """A word, and beside it the text; its further lines are for pasting."""
    first, *rest = text.splitlines()
    click.echo("\n".join([f"{word + ':':<8} {first}", *(f"{'':<11} {line}" for line in rest)]))


def _write(place: SecretPlace, url: MysqlURL) -> None:
    place.write(str(url))
    tell("done", f"write {url.masked()} to {place}")


def _place(asked: Asked, wishes: Wishes) -> SecretPlace:
    """Where the configuration has it already in a file of its own, else where it is wanted."""
    if wishes.into is None and Path(asked.origin).is_absolute() and not asked.origin.endswith(".toml"):
        return FilePlace(asked.key, Path(asked.origin))
    return place_for(asked.key, wishes.into, of_this_host=asked.of_this_host)


def _password(asked: Asked, wishes: Wishes, place: SecretPlace, *, there: bool) -> _Password:
    """What it is or is to be; empty for an account that is `there` when nobody here knows it."""
    kept = _kept(asked, place)
    if wishes.password_file is not None:
        name = wishes.password_file
        given = secret_text("--password-file", name if name == "-" else f"@{name}")
        if not given:
            raise UsageError("--password-file holds no password", hint="one line, or leave it out: one is made then")
        return _Password(given, "the password that is given", write=given != kept)
    if kept is not None and not wishes.new_password:
        return _Password(kept, "the password that is there", write=False)
    if there and not wishes.new_password:
        return _Password("", "", write=False)
    return _Password(new_password(), "a password is made", write=True)


def _kept(asked: Asked, place: SecretPlace) -> str | None:
    """The password that the configuration or the place has for this account; ConfigError where it has another's."""
    if asked.configured_account is not None:
        return asked.configured_account.password
    text = place.read()
    if text is None:
        return None
    try:
        url = MysqlURL.parse(text)
    except ConnectionStringError as error:
        raise ConfigError(f"{place} holds something else: it {error}", hint="name another one: --into PATH") from None
    if (url.user, url.database) != (asked.account.user, asked.database):
        raise ConfigError(
            f"{place} holds the connection string of another account: {url.user} for {url.database}",
            hint="name another one: --into PATH",
        )
    return url.password


def _try(asked: Asked, url: MysqlURL, words: str, *, database: str) -> None:
    """Log in as the account. Raises DatabaseError."""
    try:
        try_account(url, database=database)
    except DatabaseError as error:
        if "(1045)" not in error.message:
            raise
        if asked.account.host not in {"%", "localhost"}:
            tell("note", f"{asked.account} was not tried: it may not come from here")
            return
        raise DatabaseError(
            f"{asked.account} cannot log in with {words}",
            hint="give it a new one: --new-password; or name the right one: --password-file FILE",
        ) from None
    tell("tried", f"{asked.account} logs in" + (f" and may use {database}" if database else ""))


def _say_what_names_it(asked: Asked, place: SecretPlace, *, wrote: bool) -> None:
    section, key = asked.key
    if asked.configured and not wrote:
        return
    click.echo("")
    in_line = asked.configured is not None and asked.origin.endswith(".toml")
    if not place.line and in_line:
        click.echo(f"It counts instead of {key} = … in {asked.origin}, which can go.")
    if not place.line:
        click.echo(f"The units read it as [{section}] {key} when they start: systemctl try-restart {_USERS[section]}")
        return
    if asked.origin == str(place):
        click.echo(f"The configuration names it already: systemctl try-restart {_USERS[section]}")
        return
    if not asked.of_this_host:
        _say_how_to_hand_over(place)
        return
    click.echo(f"In /etc/wbagent.toml{f', instead of {key} = …' if in_line else ''}:\n")
    click.echo("\n".join(f"    {line}" for line in place.line.splitlines()))
    click.echo("\nthen: wbagent config check && systemctl reload wbagent")


def _say_how_to_hand_over(place: SecretPlace) -> None:
    """No [server] here: a line of it alone would be half a configuration, which init takes for one that is there."""
    click.echo("On the server's host (when that is another one, copy the file to the same place there):\n")
    click.echo(f"    wbagent init --mysql-file {place}")
    click.echo("\nor, where [server] is configured already, with the file for root and group wbagent (0640):\n")
    click.echo("\n".join(f"    {line}" for line in place.line.splitlines()))
    click.echo("\nthen: wbagent config check && systemctl reload wbagent")
    click.echo(f"\nNothing here needs it: when the server has it, rm {place}")


def _show(todo: Plan, found: Found, door: MysqlURL, writes: str) -> None:
    click.echo(f"MySQL {show_version(found.version)} at {where(door)}, as {door.user}")
    for word, lines in (("is so", todo.already), ("note", todo.notes), ("wrong", todo.wrong)):
        for line in lines:
            tell(word, line)
    for step in todo.steps:
        tell("to do", f"{step.purpose}\n{step.shown}")
    if writes:
        tell("to do", writes)


def _print_sql(todo: Plan, asked: Asked, words: str) -> None:
    click.echo(f"-- {asked.account} and the database {asked.database}: {words}")
    for text in (*todo.already, *todo.notes, *todo.wrong):
        click.echo("\n".join(f"-- {line}" for line in text.splitlines()))
    if any(len(step.parts) > 1 for step in todo.steps):
        click.echo(f"-- Write a password of your own for {PLACEHOLDER}: none was made, and nothing was written.")
    if any("\\" in step.shown for step in todo.steps):
        click.echo("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION';")
    for step in todo.steps:
        click.echo(step.shown)
