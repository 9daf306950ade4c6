"""The areas of `wbagent check`, in the order in which they are shown, each with the module that holds its checks."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

from wbagent.checks.check import Check
from wbagent.config import Settings

# A module is imported only when its area is checked: `wbagent check host` need not wait for boto3. Each has a function
# `checks(settings)` that returns those which apply to this configuration.
AREAS: Final = {
    "host": "wbagent.checks.host",
    "docker": "wbagent.checks.docker",
    "server": "wbagent.checks.server",
    "database": "wbagent.checks.database",
    "bucket": "wbagent.checks.bucket",
    "backup": "wbagent.checks.backup",
    "tls": "wbagent.checks.tls",
    "proxy": "wbagent.checks.proxy",
    "alerts": "wbagent.checks.alerts",
}


def checks_of(area: str, settings: Settings) -> Sequence[Check]:
    """The checks of one area for this configuration."""
    found: Sequence[Check] = importlib.import_module(AREAS[area]).checks(settings)
    return found
