"""Tells systemd where the container's network is: a link that units open as NetworkNamespacePath= when they start."""

from __future__ import annotations

import os
from pathlib import Path


def point_to(network: str) -> None:
    """Let $RUNTIME_DIRECTORY/netns be a link to this file; does nothing outside of the unit, or without a network."""
    directory = os.environ.get("RUNTIME_DIRECTORY")
    if not directory or not network:
        return
    link = Path(directory, "netns")
    fresh = link.with_name("netns.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(network)
    fresh.rename(link)
