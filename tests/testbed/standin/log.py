"""What the stand-in prints: my_init's plain boot lines on stderr, the application's JSON lines on stdout."""

from __future__ import annotations

import json
import sys
import time


def boot_line(text: str) -> None:
    """Print a line as my_init does."""
    sys.stderr.write(f"*** {text}\n")


def warning(text: str) -> None:
    """Print a line as W&B's start-up scripts do when something went wrong."""
    sys.stderr.write(f"!!! {text}\n")


def entry(level: str, message: str) -> None:
    """Print one JSON line as the application does."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    record = {"level": level, "time": f"{stamp}.{int(now % 1 * 1000):03}Z", "message": message}
    sys.stdout.write(json.dumps(record, separators=(",", ":")) + "\n")
    sys.stdout.flush()
