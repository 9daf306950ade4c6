"""Reads messages out of the journal, by journalctl: there is no reader of it for Python in Debian without C code."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Final

_LIMIT_S: Final = 10.0


def newest_lines(*selection: str, count: int, without: str = "") -> tuple[str, ...]:
    """The last `count` messages that journalctl's matches select, oldest first; none where nothing can be read.

    Of these, those that have the field `without` are left out: journalctl has no match for that.
    """
    program = shutil.which("journalctl") or "/usr/bin/journalctl"
    command = [program, "--quiet", "--no-pager", "--output=json", f"--lines={count}", *selection]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=True)
        entries = [json.loads(line) for line in done.stdout.splitlines()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
    # Anything but valid UTF-8 comes as a list of numbers, and is no line for people.
    messages = (entry.get("MESSAGE") for entry in entries if without not in entry)
    return tuple(message for message in messages if isinstance(message, str))
