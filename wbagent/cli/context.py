"""What every command shares: the path of the configuration, read when a command first needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wbagent.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from wbagent.config import Loaded, Settings


def config_path(ctx: click.Context) -> Path:
    """The file named by --config."""
    path: Path = ctx.find_root().obj
    return path


def load_config(ctx: click.Context) -> Loaded:
    """The configuration with its origins; raises ConfigError."""
    from wbagent.config import load  # noqa: PLC0415 - pydantic takes 100 ms, and not every command needs it

    return load(config_path(ctx))


def load_settings(ctx: click.Context) -> Settings:
    """The configuration; raises ConfigError."""
    return load_config(ctx).settings


def load_section(ctx: click.Context, section: str) -> Settings:
    """The configuration with this one section of it, whatever is wrong in the others; raises ConfigError."""
    from wbagent.config import load  # noqa: PLC0415 - as above

    return load(config_path(ctx), only=section).settings


def refuse_what_the_agent_may_not_read(path: Path, loaded: Loaded) -> None:
    """Root reads everything, the agent and its units do not: what is right for root would fail there. ConfigError."""
    from wbagent.config.layers import agent_may_read, grant_reading  # noqa: PLC0415 - as above
    from wbagent.config.sources import configuration_files  # noqa: PLC0415

    sources = {Path(origin.source) for origin in loaded.origins.values()}
    for file in sorted(sources | set(configuration_files(path))):
        if file.is_absolute() and not agent_may_read(file):
            raise ConfigError(f"{file}: the agent, user wbagent, may not read it", hint=grant_reading(file))


def why_the_unit_failed(ctx: click.Context, unit: str) -> dict[str, str]:
    """The reason and hint of a unit that ended before it could note any: mostly it may not read its configuration."""
    try:
        refuse_what_the_agent_may_not_read(config_path(ctx), load_config(ctx))
    except ConfigError as error:
        return {"reason": error.message, "hint": error.hint}
    return {"reason": "see its log", "hint": f"journalctl -u {unit.removesuffix('.service')}"}


def only_systemd(unit: str) -> None:
    """Refuse what only a unit may run: typed by hand it would be a second one beside the unit's own. UsageError."""
    if "INVOCATION_ID" not in os.environ or "NOTIFY_SOCKET" not in os.environ:
        raise UsageError(f"this is what {unit} runs; by hand it would disturb it", hint=f"systemctl start {unit}")
