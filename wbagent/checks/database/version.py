"""Which MySQL it is, and whether W&B supports that one."""

from __future__ import annotations

from typing import Final

from wbagent.checks.check import Finding, fail, note, passed, warn
from wbagent.checks.database.look import Look
from wbagent.database.facts import Version, show_version

# W&B's guide: 5.7, or 8.0.28 and later. Its newer documents: 8.4, and within 8.0 no less than 8.0.44.
_OLDEST: Final = (8, 0, 28)
_BETTER_OF_8_0: Final = (8, 0, 44)
_BEST: Final = (8, 4)
_NEEDED: Final = "MySQL 8.4"
_UPGRADE: Final = (
    "make and prove a backup (wbagent backup run), then upgrade MySQL: dev.mysql.com/doc/refman/8.4/en/upgrading.html"
)


def judge(look: Look) -> Finding:
    """The verdict on the server that was met."""
    return verdict(look.server.version, look.server.version_text, look.server.flavour)


def verdict(version: Version, text: str, flavour: str) -> Finding:
    """`flavour`: "MySQL", "Percona" (the same numbers, the same verdict) or "MariaDB"."""
    names = {"Percona": "Percona Server", "MariaDB": "MariaDB"}
    found = f"{names.get(flavour, 'MySQL')} {text or show_version(version)}"
    if flavour == "MariaDB":
        remedy = "install MySQL 8.4 and move the data there with mysqldump"
        return fail(f"{found}, which is no MySQL: W&B's server does not run on it", needed=_NEEDED, remedy=remedy)
    if version < _OLDEST and version[:2] != (5, 7):
        return fail(f"{found}: too old for W&B's server", needed="MySQL 8.4, at least 8.0.28", remedy=_UPGRADE)
    if version[:2] < _BEST:
        remedy = f"{_UPGRADE} (5.7 to 8.0 first, then to 8.4)" if version[:2] == (5, 7) else _UPGRADE
        return warn(f"{found}: {_why_old(version)}", needed=_NEEDED, remedy=remedy)
    if version[:2] == _BEST:
        return passed(found)
    return note(f"{found}: newer than 8.4, which is what W&B validates its server with")


def _why_old(version: Version) -> str:
    if version[:2] == (5, 7):
        return "the guide allows it, but it gets no security fixes since October 2023"
    if version[:2] > (8, 0):
        return "an innovation release, which gets no fixes any more"
    more = "" if version >= _BETTER_OF_8_0 else ", and W&B recommends 8.0.44 or later within 8.0"
    return f"8.0 gets no fixes since April 2026{more}"
