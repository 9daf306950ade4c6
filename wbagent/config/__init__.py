"""The configuration: /etc/wbagent.toml, its drop-ins and credentials, read into typed settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wbagent.config.loading import Loaded, load
    from wbagent.config.model import Settings

__all__ = ["Loaded", "Settings", "load"]


def __getattr__(name: str) -> object:
    # On first use: pydantic takes 100 ms to import, and a restart of the server needs only `sources` of this package.
    # (The module is not called `load`: importing it would put it in the function's place.)
    if name not in __all__:
        raise AttributeError(name)
    import importlib  # noqa: PLC0415 - as above

    return getattr(importlib.import_module(f"wbagent.config.{'model' if name == 'Settings' else 'loading'}"), name)
