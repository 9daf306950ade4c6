"""Finds where the option files of a mysqld on this host lie, and asks the program itself what it reads there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wbagent.database.options_file import environment
from wbagent.errors import DatabaseError

# The last word in a directory that is read in the order of names, as those of Debian and Red Hat are.
NAME: Final = "zz-wbagent.cnf"
_TIMEOUT_S: Final = 30.0
_WHICH_FILES: Final = ("--defaults-file", "--defaults-extra-file", "--defaults-group-suffix", "--no-defaults")
_INCLUDE: Final = re.compile(r"\s*!include(?P<directory>dir)?\s+(?P<path>\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Program:
    """The mysqld that runs: its program, the options that say which files it reads, and its unit ("" for none)."""

    path: str
    options: tuple[str, ...]
    unit: str

    @property
    def reads_nothing(self) -> bool:
        """Whether it was started to read no option file; it reads nothing that was persisted then either."""
        return "--no-defaults" in self.options


def running_program(pid_file: str) -> Program | str:
    """The mysqld that wrote this PID file, or why it cannot be told (it runs in a container, as another root)."""
    try:
        pid = int(Path(pid_file).read_text().strip())
        own_root, its_root = Path("/").stat(), Path(f"/proc/{pid}/root/.").stat()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        program = str(Path(f"/proc/{pid}/exe").readlink())
        cgroup = Path(f"/proc/{pid}/cgroup").read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no number"
        return f"its process is not to be seen on this host ({pid_file}: {reason})"
    if not os.path.samestat(own_root, its_root):
        return "it runs in a container"
    options = tuple(word for word in words[1:] if word.partition("=")[0] in _WHICH_FILES)
    unit = next((part for part in reversed(cgroup.split("/")) if part.endswith(".service")), "")
    return Program(program, options, unit)


def drop_in(program: Program) -> Path | str:
    """Where an option file of ours is read last, or why there is no such place. Raises DatabaseError."""
    found = [directory for file in _files(program) for directory in _directories(file)]
    places = [directory for directory in found if directory.is_dir()]
    if not places:
        return "none of the option files that it reads includes a directory (!includedir)"
    return places[-1] / NAME


def last_file(pid_file: str, name: str) -> Path | None:
    """A file of that name where the mysqld of this PID file would read it last; None where that is not known."""
    program = running_program(pid_file)
    try:
        place = program if isinstance(program, str) else drop_in(program)
    except DatabaseError:
        return None
    return None if isinstance(place, str) else place.with_name(name)


def start_arguments(program: Program) -> tuple[str, ...]:
    """What it would take from its option files if it were started now. Raises DatabaseError."""
    lines = _asked(program, "--print-defaults").splitlines()
    return tuple(lines[-1].split()) if len(lines) > 1 else ()


def _files(program: Program) -> Iterator[Path]:
    if program.reads_nothing:
        return
    named = dict(option.split("=", 1) for option in program.options if "=" in option)
    if "--defaults-file" in named:
        yield Path(named["--defaults-file"])
        return
    yield from default_files(_asked(program, "--verbose", "--help"))
    if "--defaults-extra-file" in named:
        yield Path(named["--defaults-extra-file"])


def default_files(text: str) -> list[Path]:
    """The option files that `mysqld --verbose --help` names, in the order in which they are read."""
    found = re.search(r"following files in the given order:\n(.*)\n", text)
    return [Path(name) for name in (found[1].split() if found else []) if name.startswith("/")]


def _directories(file: Path, depth: int = 0) -> Iterator[Path]:
    """The directories that an option file includes, also by way of another one."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        include = _INCLUDE.fullmatch(line)
        if include and include["directory"]:
            yield Path(include["path"])
        elif include and depth < 10:  # MySQL's own limit.
            yield from _directories(Path(include["path"]), depth + 1)


def _asked(program: Program, *options: str) -> str:
    command = [program.path, *program.options, *options]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=_TIMEOUT_S,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseError(f"{program.path} {' '.join(options)} failed: {error}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise DatabaseError(
            f"{program.path} {' '.join(options)} failed: {said[0][:300]}", hint="mend the option file that it names"
        )
    return done.stdout
