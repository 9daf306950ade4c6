"""Known last words of wandb/local: what each means, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause in a few words, and what to do about it; `said`: the words of the log that tell it, without a secret."""

    cause: str
    remedy: str
    said: str = ""


# The lines are those that self-hosters reported to wandb/server (the numbers) and wandb/wandb, most telling first:
# one failure often leads to others.
_KNOWN: Final = (
    (
        r"Dirty database version (\d+)",  # wandb/server #7, #16, #17, #20
        "a migration was interrupted and left the database dirty",
        "restore the last backup from before the upgrade, or ask W&B's support how to finish that migration",
    ),
    (
        r"NoSuchBucket",  # wandb/server #80
        "the bucket does not exist",
        "create the bucket that [server] bucket names, in the region that it names: wbagent bucket create",
    ),
    (
        r"lookup \S+(?: on \S+)?: (?:no such host|server misbehaving|(?:read udp \S+ )?i/o timeout)",
        "the server's container does not resolve a name of its settings",
        "name that host by its address, or add it to the DNS: wbagent check database bucket",
    ),
    (
        r"dial tcp (\S+): (?:connect: connection refused|i/o timeout|connect: no route to host)",  # wandb/server #86
        "the database does not answer at the address in [server] mysql",
        "see whether mysqld runs and listens there, and the firewall in between",
    ),
    (
        r"Error 10(?:44|45)\b|Access denied for user",
        "the database refuses the account in [server] mysql",
        "check its password (special characters written as %XX) and its grants",
    ),
    (
        # wandb/wandb #2941
        r"/etc/container_environment/\S+'?.*Permission|PermissionError.*/etc/container_environment",
        "the container runs as a user whose group is not 0",
        'set [server] user to "999" or to a UID of at least 100000 with group 0, such as "100000:0"',
    ),
    (
        r"/vol\S*'?: Permission denied|Permission denied.*'?/vol",  # wandb/server #155, wandb/wandb #2941
        "/vol is not writable for the container's user",
        "chown the volume's directory to that user, group 0",
    ),
    (
        r"Failed to load settings",  # wandb/server #13, and after the two above
        "the server cannot read its settings",
        "check [server] license and host; if /vol was moved, its owner and rights",
    ),
    (
        r"No space left on device",  # wandb/server #89
        "a disk is full",
        "df -h; make room where Docker or the volume lies",
    ),
    (
        r"unknown connection scheme",  # wandb/wandb #4832
        "a connection string has a scheme that this release does not know",
        "compare bucket, mysql and redis with W&B's manual of this release",
    ),
    (
        r"port is already allocated|address already in use",
        "the port is taken by another program",
        "ss -ltnp shows whose it is; or set another [server] port",
    ),
)


def diagnose(lines: Iterable[str]) -> Diagnosis | None:
    """The first known cause, in the order above, that any of the lines names; None when there is none."""
    text = "\n".join(lines)
    for pattern, cause, remedy in _KNOWN:
        if match := re.search(pattern, text):
            return Diagnosis(cause, remedy, match[0])
    return None


def while_starting(lines: Iterable[str]) -> str:
    """Of a server that takes long to become ready: what its newest telling line says and means; "" for none.

    Only words that are known are quoted, since every user of the host may read the unit's status.
    """
    found = next((known for line in reversed([*lines]) if (known := diagnose([line]))), None)
    return f"its log says “{found.said}”: {found.cause}" if found else ""
