"""MySQL's own server program on this host: found, told apart from MariaDB's, and held to the version of a backup."""

from __future__ import annotations

import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from wbagent.database.clients import ClientProgram, asked_for_version, parse_client
from wbagent.database.facts import Version, show_version
from wbagent.database.process import Account, Child, Running
from wbagent.errors import DatabaseError

# Where the packages of Debian, MySQL and Red Hat put it, which is not on every user's PATH.
_PLACES: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/opt/mysql/bin")
# A data directory is upgraded from one of these series to the next, never past one (MySQL manual, "Upgrade Paths").
_LONG_TERM: Final = ((5, 7), (8, 0), (8, 4), (9, 7))
_OLDEST_TO_GO_BACK_TO: Final = (8, 0)
_INSTALL: Final = (
    "install MySQL's server program (its service may stay disabled: systemctl disable --now mysql) and name it in"
    " [backup.drill] mysqld; for drills, a container will do: name an image of MySQL in [backup.drill] image"
)


class NoServerProgramError(DatabaseError):
    """There is no mysqld on this host: what needs one cannot be done here, which is nobody's failure."""


@dataclass(frozen=True, slots=True)
class Mysqld(ClientProgram, ABC):
    """MySQL's server program; `image` is that of the container it comes in, "" when it is a program of this host."""

    image: str = ""

    @abstractmethod
    def run(self, options: Sequence[str], room: Path, account: Account | None) -> Running:
        """Start it; everything that it reads and writes is below `room`. Raises NoStartError."""

    @abstractmethod
    def remedy(self, version: str) -> str:
        """What to do when one of this version is needed instead."""


@dataclass(frozen=True, slots=True)
class LocalMysqld(Mysqld):
    """The server program of this host."""

    def run(self, options: Sequence[str], room: Path, account: Account | None) -> Running:
        """As a child of this process: start it in the main thread."""
        return Child(self.path, options, account)

    def remedy(self, version: str) -> str:
        """See `Mysqld`."""
        return f"install MySQL {version} and name its mysqld in [backup.drill] mysqld"


def find_mysqld(name: str) -> LocalMysqld:
    """Find `name` (on PATH or where packages put it, or an absolute path); raises NoServerProgramError.

    Raises DatabaseError for one that does not run.
    """
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES]))
    if path is None:
        raise NoServerProgramError(f"there is no mysqld on this host ({name!r} was not found)", hint=_INSTALL)
    # --no-defaults: a broken /etc/mysql/my.cnf is not of interest here.
    answer = asked_for_version(path, "--no-defaults", hint=_INSTALL, timeout=60)
    said = answer.stdout if not answer.returncode else answer.stderr or answer.stdout
    found = parse_mysqld(path, said.decode(errors="replace"), answer.returncode, _INSTALL)
    return LocalMysqld(path, found.flavour, found.version, found.text)


def parse_mysqld(path: str, said: str, status: int, hint: str) -> ClientProgram:
    """What a server program says to `--version`; raises DatabaseError for one that does not tell, or is MariaDB's."""
    program = parse_client(path, said)
    if status or program.version == (0, 0, 0):
        raise DatabaseError(f"{path} does not say which MySQL it is: {said.strip()[:300]!r}", hint=hint)
    if program.flavour == "MariaDB":
        raise DatabaseError(
            f"{path} is MariaDB's ({program.text}); it cannot take over the data of a MySQL server", hint=hint
        )
    return program


def check_mysqld(program: Mysqld, version_text: str, version: Version, *, physical: bool) -> tuple[str, ...]:
    """Refuse (DatabaseError) a program that cannot take over what a server of `version` left; return warnings.

    `physical`: it is to start on that server's data directory, not to load a dump. Rules: `upgrade_refusal`.
    """
    ours, theirs = show_version(program.version), version_text or show_version(version)
    refusal = upgrade_refusal(version, program.version) if physical else _older(version, program.version)
    if refusal:
        raise DatabaseError(
            f"{program.path} is MySQL {ours} and the backup is of {theirs}: {refusal}",
            hint=program.remedy(theirs),
        )
    if physical and program.version > version:
        return (f"the data directory is upgraded from MySQL {theirs} to {ours}: the older one cannot use it again",)
    return ()


def upgrade_refusal(old: Version, new: Version) -> str:
    """Why a mysqld of `new` must not start on a data directory of `old`; "" when it may.

    MySQL's manual: never back to an older release; to a newer one of the same series; from a long-term series to the
    next long-term one and the innovation releases before it; from an innovation release no further than the next
    long-term series.
    """
    if new < old:
        return "an older mysqld does not start on the data of a newer one"
    if new[:2] == old[:2]:
        return ""
    skipped = [series for series in _LONG_TERM if old[:2] < series < new[:2]]
    if skipped:
        return f"a data directory must not skip the series {'.'.join(str(part) for part in skipped[0])}"
    return ""


def load_refusal(dumped: Version, target: Version) -> str:
    """Why a dump of a server of version `dumped` must not be loaded into one of `target`; "" when it may.

    MySQL's manual, "Downgrade Paths": a dump may go back to the long-term series before its own, no further, and from
    8.0 on not to 5.7.
    """
    if target[:2] >= dumped[:2]:
        return ""
    between = [series for series in _LONG_TERM if target[:2] < series < dumped[:2]]
    if between or target[0] < _OLDEST_TO_GO_BACK_TO[0]:
        return f"MySQL {show_version(target)} is too old for a dump of {show_version(dumped)}"
    return ""


def _older(old: Version, new: Version) -> str:
    return "an older mysqld may not understand the dump of a newer one" if new[:2] < old[:2] else ""


def log_needs(log: str) -> dict[str, str]:
    """Settings that a data directory was made with, from the error log of a mysqld that refused it for theirs."""
    found = {}
    if names := re.search(r"lower_case_table_names settings for server \('\d'\) and data dictionary \('(\d)'\)", log):
        found["lower-case-table-names"] = names[1]
    if page := re.search(r"uses page size (\d+),? but the innodb_page_size", log):
        found["innodb-page-size"] = page[1]
    return found


def denial(log: str, directory: str, *, apparmor: bool, selinux: bool) -> str:
    """What to do when the log says that mysqld was not let into `directory`; "" when it says no such thing."""
    if not re.search(r"(?i)permission denied|errno:? ?13\b|error:? 13\b|error number 13\b", log):
        return ""
    if apparmor:
        return (
            f"AppArmor keeps mysqld out: echo '{directory}/** rwk,' >> /etc/apparmor.d/local/usr.sbin.mysqld &&"
            " apparmor_parser --replace /etc/apparmor.d/usr.sbin.mysqld"
        )
    if selinux:
        return (
            f"SELinux keeps mysqld out: semanage fcontext --add --type mysqld_db_t '{directory}(/.*)?' &&"
            f" restorecon -R {directory}"
        )
    return f"the user that mysqld runs as must be able to enter {directory} and every directory above it"


def last_lines(log: list[str], count: int = 5) -> str:
    """The end of an error log as one line: the errors among its last lines, else those lines."""
    kept = [line for line in log if "[ERROR]" in line] or log
    # Twice the same line says no more than once.
    return " / ".join(line for before, line in pairwise(["", *kept[-count:]]) if line != before)[:900]
