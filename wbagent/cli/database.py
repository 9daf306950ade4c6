"""`wbagent database`: sets MySQL up as W&B's guide asks: database and account, settings, an account for backups."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from wbagent.cli.context import config_path, load_config
from wbagent.errors import AccessError, ConfigError, UsageError

if TYPE_CHECKING:
    from wbagent.config import Loaded
    from wbagent.config.dsn import MysqlURL
    from wbagent.database.provisioning import Found

_Command = Callable[..., Any]


@click.group()
def database() -> None:
    """Set MySQL up as W&B's guide asks.

    As root on the database's host, MySQL's root is reached over its socket. Elsewhere, name an administrator: --admin.
    What is as it should be already is left alone, so that each command can be run again.
    """


def _common(command: _Command) -> _Command:
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--sql", is_flag=True, help="Print the statements instead of running them."),
        click.option(
            "--admin",
            metavar="DSN",
            help="An administrator's connection string, @FILE with one, or - for standard input."
            " [default: root over this host's socket]",
        ),
    ):
        command = option(command)
    return command


def _accounts(command: _Command) -> _Command:
    for option in (
        click.option("--new-password", is_flag=True, help="Give an account that is there already a new password."),
        click.option("--password-file", metavar="FILE", help="A file with the password, - for standard input."
                     " [default: one is made]"),
        click.option(
            "--into",
            metavar="PATH|credential",
            help="Where the connection string goes: a file, or a systemd credential."
            " [default: a credential for what this host uses itself, else a file in /etc/wbagent.toml.d]",
        ),
        click.option("--address", metavar="HOST[:PORT]", help="How the database is reached by who uses the account."),
    ):  # fmt: skip
        command = option(command)
    return command


@database.command()
@click.option("--user", help="[default: wandb_local]")
@click.option("--database", "name", help="[default: wandb_local]")
@click.option("--host", default="%", show_default=True, help="Where the account may come from.")
@_accounts
@_common
@click.pass_context
def init(ctx: click.Context, /, user: str | None, name: str | None, host: str, **options: Any) -> None:
    """Create the server's database and account by the SQL of W&B's guide."""
    from wbagent.cli.database_accounts import Asked, Wishes, provide  # noqa: PLC0415 - PyMySQL
    from wbagent.database.account import Account  # noqa: PLC0415
    from wbagent.database.provisioning import Plan, plan_for_server  # noqa: PLC0415
    from wbagent.database.ways import Way, for_server  # noqa: PLC0415

    loaded = _configuration(ctx)
    _refuse_embedded(loaded, options)
    server = loaded.settings.server if loaded else None
    configured = server.mysql if server else None
    asked = Asked(
        key=("server", "mysql"),
        account=Account(user or (configured.user if configured else "wandb_local"), host),
        database=name or (configured.database if configured else "wandb_local"),
        of_this_host=_has_section(ctx, "server"),
        configured=configured,
        origin=_origin(loaded, ("server", "mysql")),
    )
    named = _address(options.pop("address"))

    def url(door: MysqlURL, found: Found) -> MysqlURL:
        way = Way(door, found.port or 3306, named, _own_name(found, for_container=asked.of_this_host))
        return for_server(way, asked.configured_account)

    def plan(found: Found, renew: bool) -> Plan:
        return plan_for_server(found, asked.account, asked.database, renew=renew)

    provide(asked, _door(options["admin"], sql=options["sql"]), url, plan, Wishes.of(options))


@database.command()
@click.option("--newer", is_flag=True, help="By W&B's newer documents where they ask for more than the guide.")
@click.option("--in-file", is_flag=True, help="All into the option file, nothing by SET PERSIST.")
@_common
def tune(admin: str | None, sql: bool, yes: bool, newer: bool, in_file: bool) -> None:
    """Set what W&B asks of MySQL's settings, now and for after a restart. MySQL is never restarted by this."""
    from wbagent.cli import database_tune  # noqa: PLC0415 - PyMySQL

    database_tune.tune(_door(admin, sql=sql), newer=newer, in_file=in_file, sql=sql, yes=yes)


@database.command()
@click.option("--user", default="wandb_backup", show_default=True)
@click.option("--database", "name", help="What it backs up.  [default: as configured, else wandb_local]")
@click.option("--host", help="Where the account may come from.  [default: localhost over the socket, else %]")
@click.option("--clone/--no-clone", default=None, help="For backups by clone.  [default: on the database's host]")
@click.option("--binlog/--no-binlog", default=None, help="For storing binary logs.  [default: as configured]")
@_accounts
@_common
@click.pass_context
def user(
    ctx: click.Context,
    /,
    user: str,
    name: str | None,
    host: str | None,
    clone: bool | None,
    binlog: bool | None,
    **options: Any,
) -> None:
    """Create an account that can make backups and nothing else."""
    from wbagent.cli.database_accounts import Asked, Wishes, provide  # noqa: PLC0415 - PyMySQL
    from wbagent.database.account import Account  # noqa: PLC0415
    from wbagent.database.local import is_local  # noqa: PLC0415
    from wbagent.database.provisioning import BackupNeeds, Plan, plan_for_backup  # noqa: PLC0415
    from wbagent.database.ways import Way, comes_by_socket, for_backup  # noqa: PLC0415

    loaded = _configuration(ctx)
    _refuse_embedded(loaded, options)
    settings = loaded.settings if loaded else None
    configured = settings.database.url if settings and settings.database else None
    source = settings.database_url() if settings else None
    door = _door(options["admin"], sql=options["sql"])
    named = _address(options.pop("address"))
    name = name or (source.database if source else "wandb_local")
    mine = configured if configured and (configured.user, configured.database) == (user, name) else None
    by_socket = comes_by_socket(door, mine, named, host)
    asked = Asked(
        key=("database", "url"),
        account=Account(user, host or ("localhost" if by_socket else "%")),
        database=name,
        of_this_host=True,
        configured=configured,
        origin=_origin(loaded, ("database", "url")),
    )
    needs = BackupNeeds(
        clone=clone if clone is not None else bool(door and is_local(door)),
        binlog=binlog if binlog is not None else bool(settings and settings.backup.binlog.enabled),
    )

    def url(door: MysqlURL, found: Found) -> MysqlURL:
        way = Way(door, found.port or 3306, named, _own_name(found, for_container=False))
        return for_backup(way, mine, by_socket=by_socket)

    def plan(found: Found, renew: bool) -> Plan:
        return plan_for_backup(found, asked.account, asked.database, needs, renew=renew)

    provide(asked, door, url, plan, Wishes.of(options))


def _configuration(ctx: click.Context) -> Loaded | None:
    """What is configured; nothing where there is none yet that is complete."""
    try:
        return load_config(ctx)
    except (ConfigError, AccessError) as error:
        click.echo(f"note: the configuration is passed over, since it cannot be used: {error.message}", err=True)
        return None


def _refuse_embedded(loaded: Loaded | None, options: Mapping[str, Any]) -> None:
    """A credential for the key would stop an embedded server, or have the backup of it left out. Raises UsageError."""
    server = loaded.settings.server if loaded else None
    if server is not None and server.embedded and options["into"] in {None, "credential"} and not options["sql"]:
        raise UsageError(
            "the server of this host is embedded = true: it has a MySQL of its own",
            hint="to move it out, write the connection string elsewhere, and name it to externalize:"
            " --into /root/mysql, then wbagent server externalize --mysql @/root/mysql …",
        )


def _has_section(ctx: click.Context, section: str) -> bool:
    """Whether the configuration has this section, be it complete or not: the key that this is about may lack."""
    from wbagent.config.layers import file_layer  # noqa: PLC0415
    from wbagent.config.sources import configuration_files  # noqa: PLC0415

    try:
        return any(section in file_layer(file).tree for file in configuration_files(config_path(ctx)))
    except (ConfigError, AccessError):
        return False


def _origin(loaded: Loaded | None, key: tuple[str, ...]) -> str:
    origin = loaded.origins.get(key) if loaded else None
    return origin.source if origin else ""


def _door(admin: str | None, *, sql: bool) -> MysqlURL | None:
    """The administrator's way in; None for statements that are only to be printed where nobody can be asked."""
    from wbagent.cli.restore import mysql_url  # noqa: PLC0415
    from wbagent.database.administrator import local_administrator  # noqa: PLC0415

    if admin is not None:
        return mysql_url("--admin", admin)
    try:
        return local_administrator()
    except UsageError:
        if sql:
            return None
        raise


def _own_name(found: Found, *, for_container: bool) -> str:
    from wbagent.database.ways import own_name  # noqa: PLC0415

    route = None
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing: the kernel says which of its addresses it would use (TEST-NET-1, RFC 5737).
        probe.connect(("192.0.2.1", 9))
        route = str(probe.getsockname()[0])
    return own_name(socket.getfqdn(), route, found.bind_address, for_container=for_container)


def _address(given: str | None) -> tuple[str, int] | None:
    """Host and port that a person named; raises UsageError."""
    if given is None:
        return None
    try:
        parts = urlsplit(f"//{given}")
        host, port = parts.hostname, parts.port or 3306
    except ValueError:
        host = None
    if not host or given != parts.netloc or "@" in given:
        raise UsageError(f"--address {given}: expected HOST or HOST:PORT", hint="such as db1.example.com:3306")
    return host, port
