"""`wbagent config`: check and show the configuration, and print a template of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from wbagent.alerts.destination import configured
from wbagent.cli.context import config_path, load_config, refuse_what_the_agent_may_not_read
from wbagent.config.certificates import ITS_OWN_TMP, in_private_tmp
from wbagent.config.connection_string import MASK, ConnectionString
from wbagent.config.layers import KeyPath, Origin
from wbagent.config.listen import Listen
from wbagent.config.model import Settings
from wbagent.server.embedded import NOT_FOR_PRODUCTION


@click.group()
def config() -> None:
    """Check and show /etc/wbagent.toml."""


@config.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Read the configuration; name file, line and key of each problem. Exit status 78 when there is one."""
    loaded = load_config(ctx)
    settings = loaded.settings
    refuse_what_the_agent_may_not_read(config_path(ctx), loaded)
    parts = [name for name in type(settings).model_fields if any(path[0] == name for path in loaded.origins)]
    click.echo(f"{config_path(ctx)}: correct; sections set: {', '.join(parts) or 'none'}")
    for remark in _remarks(settings):
        click.echo(f"note: {remark}")


def _remarks(settings: Settings) -> Iterator[str]:
    for path in settings.server.ca_certificates if settings.server else ():
        if in_private_tmp(path):
            yield f"[server] ca_certificates: {path}: {ITS_OWN_TMP}, or the server does not start"
    if settings.server is not None and settings.server.embedded:
        yield f"[server] embedded = true: {NOT_FOR_PRODUCTION} (wbagent server externalize moves it out)"
        if settings.database is not None:
            yield "[database] is set, so the embedded server's own database and files are NOT backed up"
    if settings.server is None and settings.database is None:
        yield "neither [server] nor [database] is set, so nothing is run, watched or backed up on this host"
    if settings.database_url() is not None and settings.backup.enabled and settings.backup.destination is None:
        yield "[backup] destination is not set: backups stay on this host, which is not off-site"
    if settings.backup.keep_days < 7:
        yield f"[backup] keep_days = {settings.backup.keep_days}: W&B's guide asks for at least a week"
    for label in _unknown_destinations(settings):
        yield f"[alerts] to: Apprise does not know the form of {label}; nothing can be sent there (wbagent alerts test)"
    if not settings.alerts.to:
        yield "[alerts] to is not set: alerts go to the journal only"


def _unknown_destinations(settings: Settings) -> Iterator[str]:
    import apprise  # noqa: PLC0415 - half a second that only this check needs

    for destination in configured(settings.alerts):
        if not apprise.Apprise().add(destination.url):
            yield destination.label


@config.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Show the effective values, secrets masked, and where each came from."""
    loaded = load_config(ctx)
    rows = [(".".join(key), value, _origin(key, loaded.origins)) for key, value in _flat(loaded.settings)]
    if as_json:
        click.echo(json.dumps({key: {"value": value, "from": origin} for key, value, origin in rows}, indent=2))
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, origin in rows:
        click.echo(f"{key:<{width}} = {json.dumps(value, ensure_ascii=False)}  # {origin}")


@config.command()
def template() -> None:
    """Print a commented configuration to start from."""
    from wbagent.config.template import template as text  # noqa: PLC0415 - only this command needs it

    click.echo(text(), nl=False)


def _flat(model: BaseModel, above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _flat(value, (*above, name))
        elif isinstance(value, dict):
            # Anything may stand in [server.env], passwords of an identity provider too.
            yield from (((*above, name, key), MASK) for key in value)
        else:
            yield (*above, name), _shown(value)


def _shown(value: Any) -> Any:
    match value:
        case SecretStr():
            return MASK
        case ConnectionString():
            return value.masked()
        case tuple():
            return [_shown(item) for item in value]
        case Path() | Listen():
            return str(value)
        case _:
            return value


def _origin(key: KeyPath, origins: Any) -> str:
    found: Origin | None = origins.get(key)
    return str(found) if found else "default"
