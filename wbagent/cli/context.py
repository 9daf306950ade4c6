"""What every command shares: the path of the configuration, read when a command first needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

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
