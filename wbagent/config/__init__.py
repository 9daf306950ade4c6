"""The configuration: /etc/wbagent.toml, its drop-ins and credentials, read into typed settings."""

from wbagent.config.load import Loaded, load
from wbagent.config.model import Settings

__all__ = ["Loaded", "Settings", "load"]
