"""Runs mydumper into a directory, and judges what came of it: exit status, complaints, each file, each table's rows."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from wbagent.backup.engines.engine import UnfitError
from wbagent.backup.engines.mydumper_metadata import FILE, Metadata, parse_metadata
from wbagent.child import how_it_ended
from wbagent.config.dsn import MysqlURL
from wbagent.database.options_file import environment, start_program

_FILES_AT_ONCE: Final = 1000
_MOST_COMPLAINTS: Final = 64 << 10
_LOOK_EVERY_S: Final = 1.0
_LINE: Final = re.compile(r"(?:\*\* )?(?:\([^)]*\): )?(?P<level>[A-Z]+|Message)(?: \*\*)?: [\d:.]+: (?P<text>.*)")
# Told at each run, of a choice that was made on purpose.
_HARMLESS: Final = ("Using --trx-tables options",)


def run(path: str, url: MysqlURL, options: Sequence[str], more: str, target: Path) -> tuple[str, ...]:
    """Dump the database of `url` into the new directory `target`; returns warnings, raises UnfitError.

    `more`: further sections of its defaults file. Whatever ends this ends mydumper and its compressors too: the server
    gives their locks back when their sessions end.
    """
    arguments = [f"--database={url.database}", f"--outputdir={target}", *options]
    with start_program(path, url, arguments, more=more) as process:
        try:
            complaints = _listen(process)
            status = process.wait()
        except BaseException:
            # Its compressors too: they would write on into a directory that is being removed.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return judge(status, complaints)


def _listen(process: subprocess.Popen[bytes]) -> str:
    """What it says on stderr until it ends, or until one of its compressors failed: it would wait for that for ever."""
    complaints = bytearray()
    if process.stderr is None:
        return ""
    while True:
        readable, _, _ = select.select([process.stderr], [], [], _LOOK_EVERY_S)
        if readable:
            data = os.read(process.stderr.fileno(), 4096)
            if not data:
                return complaints.decode(errors="replace")
            # Read on after the limit, or it would wait for ever; the first lines say what went wrong.
            complaints += data[: _MOST_COMPLAINTS - len(complaints)]
        elif status := failed_child(process.pid):
            how = how_it_ended(os.waitstatus_to_exitcode(status))
            said = "; ".join(_read(complaints.decode(errors="replace"))[0])[:600] or "and said nothing"
            raise UnfitError(
                f"mydumper's compressor zstd {how}: {said}",
                hint="look for a full disk (df /var/lib/wbagent) and for killed processes (journalctl -k)",
            )


def failed_child(pid: int) -> int:
    """The wait status of a child that failed and that its parent `pid` has not looked at; 0 without any.

    A process keeps the read end of the pipe to each of its compressors open (mydumper 1.0.1 does), and so learns of a
    compressor's end only when the pipe is full: never.
    """
    try:
        ended = [child for child in psutil.Process(pid).children() if child.status() == psutil.STATUS_ZOMBIE]
        # proc_pid_stat(5): the last field is the exit code in the form of waitpid(2).
        states = [int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(maxsplit=1)[1]) for child in ended]
        return next(filter(None, states), 0)
    except (psutil.Error, OSError):
        # Reaped between two looks.
        return 0


def judge(status: int, complaints: str) -> tuple[str, ...]:
    """Judge mydumper by its exit status and its stderr: returns warnings, raises UnfitError.

    Its compressors complain there too, and it does not look at how they end.
    """
    errors, warnings = _read(complaints)
    if status == 0 and not errors:
        return tuple(f"mydumper: {text}" for text in warnings)
    said = "; ".join([*errors, *warnings])[:600] or "and said nothing"
    raise UnfitError(f"mydumper {how_it_ended(status)}: {said}", hint=_hint(said))


def _read(complaints: str) -> tuple[list[str], list[str]]:
    """The errors and the warnings among the lines of its stderr; what it tells at every run is neither."""
    errors, warnings = [], []
    for line in filter(None, map(str.strip, complaints.splitlines())):
        found = _LINE.fullmatch(line)
        level, text = (found["level"], found["text"]) if found else ("", line)
        if level not in {"WARNING", "Message"}:
            errors.append(text)
        elif level == "WARNING" and not text.startswith(_HARMLESS):
            warnings.append(text)
    return errors, warnings


def _hint(said: str) -> str:
    if "No space left" in said:
        return "make room on the disk of the state directory"
    if "Row count mismatch" in said:
        return "report it to mydumper's project, and use another engine: [backup] engine"
    if "Lock wait timeout" in said or "running longer than" in said:
        return "a statement runs for long: end it, or run it again later"
    if "denied" in said:
        return "grant the account its rights: GRANT ALL on its database, as W&B's guide says"
    return "mend what it says, or use another engine: [backup] engine"


def check_files(directory: Path, tables: Iterable[str]) -> Metadata:
    """Hold what mydumper left in `directory` against its own account of it; raises UnfitError.

    Each table has its definition, each with rows their file, and each file is whole to its last byte.
    """
    try:
        text = (directory / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnfitError(f"mydumper left no account of its dump: {error.strerror}", hint="wbagent backup run") from None
    metadata = parse_metadata(text)
    files = {path.name for path in directory.iterdir() if path.stat().st_size} - {FILE}
    # DATABASE.TABLE.00000.sql.zst: a name with a dot in it is replaced by a number.
    with_rows = {
        ".".join(parts[:2]) for parts in (name.split(".") for name in files) if parts[2:3] and parts[2].isdecimal()
    }
    for table in tables:
        if table not in metadata.rows:
            raise UnfitError(
                f"mydumper left out the table {table}", hint="was it dropped meanwhile? wbagent backup run"
            )
        stem, rows = metadata.stems[table], metadata.rows[table]
        if f"{stem}-schema.sql.zst" not in files or (stem in with_rows) != (rows > 0):
            raise UnfitError(
                f"mydumper says that {stem} has {rows} rows, which its files do not show", hint="wbagent backup run"
            )
    check_whole(directory, files)
    return metadata


def check_whole(directory: Path, files: Iterable[str]) -> None:
    """Raise UnfitError unless each file is zstd from its first byte to its last, checksums included."""
    names = sorted(files)
    for start in range(0, len(names), _FILES_AT_ONCE):
        command = ["zstd", "--test", "--quiet", "--", *names[start : start + _FILES_AT_ONCE]]
        done = subprocess.run(
            command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, env=environment(), check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[:300]
            raise UnfitError(
                f"a file of mydumper's is not whole, its compressor may have been ended from outside: {said}",
                hint="wbagent backup run",
            )
