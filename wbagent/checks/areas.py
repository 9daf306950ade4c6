"""The areas of `wbagent check`, in the order in which they are shown, each with the module that holds its checks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
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

# The sections that an area cannot do without; the host and Docker are looked at with whatever is known.
SECTIONS: Final[Mapping[str, frozenset[str]]] = {
    "host": frozenset(),
    "docker": frozenset(),
    "server": frozenset({"server"}),
    "database": frozenset({"server", "database", "standby"}),
    "bucket": frozenset({"server"}),
    "backup": frozenset({"server", "database", "backup"}),
    "tls": frozenset({"server"}),
    "proxy": frozenset({"server"}),
    "alerts": frozenset({"alerts", "metrics"}),
}

# Those that would come to wrong conclusions without the secrets of the configuration.
SECRETIVE: Final = frozenset({"server", "database", "bucket", "backup", "alerts"})


def checks_of(area: str, settings: Settings) -> Sequence[Check]:
    """The checks of one area for this configuration."""
    found: Sequence[Check] = importlib.import_module(AREAS[area]).checks(settings)
    return found
