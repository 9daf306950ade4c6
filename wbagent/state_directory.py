"""Where the state is; apart from `state`, since not everybody who asks needs SQLite (3 MB)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_DEFAULT: Final = Path("/var/lib/wbagent")


def state_directory() -> Path:
    """The state directory: systemd's $STATE_DIRECTORY in a unit of ours, else /var/lib/wbagent."""
    named = os.environ.get("WBAGENT_STATE_DIRECTORY") or os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(named) if named else _DEFAULT
