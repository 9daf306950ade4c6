"""Restarts and reloads units for a person who waits: until a notify unit is ready, or has failed."""

from __future__ import annotations

import subprocess

from wbagent.errors import BusError


def systemctl(verb: str, unit: str) -> None:
    """What `systemctl VERB UNIT` does, without a word on success; raises BusError with the way to the reason."""
    done = subprocess.run(
        ["/usr/bin/systemctl", verb, unit], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BusError(
            f"systemctl {verb} {unit} failed: {said[0] if said else f'status {done.returncode}'}",
            hint=f"journalctl -x -u {unit.removesuffix('.service')}",
        )
