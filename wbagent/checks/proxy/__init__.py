"""Checks of the area "proxy"."""

from __future__ import annotations

from collections.abc import Sequence

from wbagent.checks.check import Check
from wbagent.config import Settings


def checks(settings: Settings) -> Sequence[Check]:
    """Those that apply to this configuration."""
    return ()
