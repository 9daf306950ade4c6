"""`wbagent bucket`: makes the bucket of W&B's server or of the backups, sets its CORS rule, checks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from wbagent.cli.check import check as check_areas
from wbagent.cli.context import load_settings
from wbagent.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from wbagent.bucket.policy import Kind
    from wbagent.config import Settings
    from wbagent.config.dsn import S3URL

_ADMIN = click.option(
    "--admin",
    metavar="DSN",
    help="A connection string with the keys of one who may do it, for the same store: @FILE with one, or - for standard"
    " input. [default: the keys of the configuration]",
)
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def bucket() -> None:
    """Set up the bucket that [server] bucket names, and see whether it is as W&B needs it.

    What is as it should be already is left alone, so that each command can be run again.
    """


@bucket.command()
@click.option("--backup", is_flag=True, help="The bucket of [backup] destination instead.")
@click.option("--versioning", is_flag=True, help="Let it keep what is overwritten and deleted.")
@click.option("--lock", is_flag=True, help="With --backup: made with Object Lock, as [backup] lock_days needs it.")
@click.option(
    "--print", "only_print", is_flag=True, help="Only print what does the same by hand, and the least policy."
)
@click.option(
    "--policy",
    type=click.Choice(["minio", "ceph", "aws"]),
    help="Only print the least policy for the keys, for this kind of store.",
)
@_ADMIN
@_YES
@click.pass_context
def create(
    ctx: click.Context,
    backup: bool,
    versioning: bool,
    lock: bool,
    only_print: bool,
    policy: Kind | None,
    admin: str | None,
    yes: bool,
) -> None:
    """Make the bucket in its region, and let pages of HOST use it; print what does the same by hand.

    A bucket that is there already is brought to the same state, and nothing is taken from it.
    """
    from wbagent.bucket.cors import origin_of  # noqa: PLC0415 - boto3
    from wbagent.bucket.making import Wanted  # noqa: PLC0415 - as above
    from wbagent.cli.bucket_making import Chosen, make, print_by_hand, print_policy  # noqa: PLC0415 - boto3

    if lock and not backup:
        raise UsageError(
            "--lock is for the bucket of backups: the server could not delete what its users delete",
            hint="wbagent bucket create --backup --lock",
        )
    settings = load_settings(ctx)
    url = _of_backups(settings) if backup else _of_server(settings)
    origin = origin_of(settings.server.host) if settings.server and not backup else ""
    chosen = Chosen(settings, url, Wanted(versioning, lock, origin), backup=backup)
    if policy:
        print_policy(chosen, policy)
    elif only_print:
        print_by_hand(chosen)
    else:
        make(chosen, _with_keys(url, admin), yes=yes)


@bucket.command()
@click.option("--print", "only_print", is_flag=True, help="Only print the rule, as XML for `mcli cors set`.")
@_ADMIN
@_YES
@click.pass_context
def cors(ctx: click.Context, only_print: bool, admin: str | None, yes: bool) -> None:
    """Let pages of HOST read and store files in the bucket: add the CORS rule, keep all others."""
    from wbagent.bucket.cors import origin_of  # noqa: PLC0415 - boto3
    from wbagent.cli.bucket_making import print_rule, set_rule  # noqa: PLC0415 - as above

    settings = load_settings(ctx)
    url = _of_server(settings)
    origin = origin_of(settings.server.host) if settings.server else ""
    if only_print:
        print_rule(url, origin)
    else:
        set_rule(_with_keys(url, admin), origin, yes=yes)


@bucket.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """See whether the server can work with the bucket: the same as `wbagent check bucket`."""
    ctx.invoke(check_areas, area=("bucket",), as_json=as_json)


def _of_server(settings: Settings) -> S3URL:
    from wbagent.config.dsn import S3URL  # noqa: PLC0415 - with the configuration, which is loaded by now

    server = settings.server
    if server is None:
        raise ConfigError("there is no [server] on this host, so no bucket of it", hint="wbagent init")
    if server.bucket is None:
        raise ConfigError(
            "the server uses the object store of its image, which makes its own bucket",
            hint="for production: wbagent server externalize",
        )
    if not isinstance(server.bucket, S3URL):
        raise ConfigError(
            "[server] bucket is in a store that is not spoken to by S3: it cannot be set up from here",
            hint="see W&B's guide, or the cloud's own tool",
        )
    return server.bucket


def _of_backups(settings: Settings) -> S3URL:
    if settings.backup.destination is None:
        raise ConfigError("[backup] destination is not set", hint=f'destination = "{_example()}" in [backup]')
    return settings.backup.destination


def _example() -> str:
    from wbagent.config.dsn import S3URL  # noqa: PLC0415 - as above

    return S3URL.example


def _with_keys(url: S3URL, admin: str | None) -> S3URL:
    """The bucket as the administrator sees it; raises UsageError."""
    if admin is None:
        return url
    from wbagent.cli.restore import s3_url  # noqa: PLC0415 - only with this option

    keys = s3_url("--admin", admin)
    if (keys.host, keys.port) != (url.host, url.port):
        raise UsageError("--admin names another store than the configuration", hint=f"the bucket is {url.address}")
    return replace(url, access_key=keys.access_key, secret_key=keys.secret_key)
