"""Sends one message past the outbox in a process of its own: what that takes of memory the agent gets back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from wbagent.alerts.destination import Destination
from wbagent.alerts.message import Message

# Every destination at once has 30 s for it; then there is the start of the process (seconds).
_LIMIT_S: Final = 120.0


def send(message: Message, to: Sequence[Destination]) -> bool:
    """Whether somebody took it, or there is nobody to be told. Blocks; what was refused goes to the journal."""
    if not to:
        return True
    # By a pipe: the addresses are secret.
    parcel = json.dumps({"to": [one.url for one in to], "message": message.to_json()})
    command = [sys.executable, "-P", "-m", __name__]
    try:
        done = subprocess.run(
            command, input=parcel, text=True, stdout=subprocess.DEVNULL, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def main() -> None:
    """The process: status 0 when one destination took it."""
    from wbagent.alerts.destination import destinations  # noqa: PLC0415 - only the process needs these
    from wbagent.alerts.unit_report import send_past_outbox  # noqa: PLC0415 - as above

    parcel = json.load(sys.stdin)
    answers = send_past_outbox(Message.from_json(parcel["message"]), destinations(parcel["to"]))
    for answer in answers:
        if answer.error:
            sys.stderr.write(f"not told past the outbox: {answer.destination.label}: {answer.error}\n")
    sys.exit(0 if any(not answer.error for answer in answers) else 1)


if __name__ == "__main__":
    main()
