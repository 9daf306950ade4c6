"""The [alerts] section, also out of a configuration whose other sections are wrong: that itself must be told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wbagent.config import load
from wbagent.config.layers import Layer, credential_layer, file_layer
from wbagent.config.model import AlertSettings
from wbagent.config.sources import credentials_directory
from wbagent.errors import AccessError, ConfigError


def alert_settings(path: Path) -> AlertSettings:
    """[alerts] as `load` gives it, else what can be made out of the files alone; at worst nobody is to be told."""
    try:
        return load(path).settings.alerts
    except (AccessError, ConfigError):
        return _salvaged(path)


def _salvaged(path: Path) -> AlertSettings:
    files = [path, *sorted(path.with_name(path.name + ".d").glob("*.toml"))]
    sources: list[Callable[[], Layer]] = [partial(file_layer, file) for file in files]
    sources.append(partial(credential_layer, credentials_directory()))
    merged: dict[str, Any] = {}
    for read in sources:
        with suppress(AccessError, ConfigError):
            table = read().tree.get("alerts")
            merged |= table if isinstance(table, dict) else {}
    try:
        return AlertSettings.model_validate(merged)
    except ValidationError:
        return AlertSettings()
