"""Runs mydumper's loader on an unpacked backup: its options, its account, its exit status and its complaints."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from wbagent.child import how_it_ended
from wbagent.config.dsn import MysqlURL
from wbagent.database.options_file import environment, options_file
from wbagent.errors import RestoreError

_COMPLAINT: Final = re.compile(r"\b(?:CRITICAL|ERROR)\b")


def loader_options(directory: Path, source: str, target: str, threads: int) -> list[str]:
    """Load database `source` of the backup into `target`; as in myloader's manual (1.0), nothing secret in it.

    --enable-binlog: myloader switches the binary log off, and a restored primary would tell its replicas nothing.
    """
    return [
        f"--directory={directory}",
        f"--source-db={source}",
        f"--database={target}",
        f"--threads={threads}",
        "--enable-binlog",
        "--verbose=2",
    ]


def run_myloader(path: str, target: MysqlURL, options: list[str]) -> None:
    """Run it to its end; raises RestoreError unless it ended with 0 and complained of nothing."""
    with options_file(target) as (descriptor, argument):
        done = subprocess.run(
            [path, argument, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=(descriptor,),
            env=environment(),
            process_group=0,
            check=False,
        )
    judge(done.returncode, done.stderr.decode(errors="replace"))


def judge(status: int, said: str) -> None:
    """Raise RestoreError unless everything was loaded: status 0 alone was given after lost objects as well."""
    complaints = [line.strip() for line in said.splitlines() if _COMPLAINT.search(line)]
    if status == 0 and not complaints:
        return
    last = said.strip().splitlines()[-1:] or ["and said nothing"]
    raise RestoreError(
        f"myloader {how_it_ended(status)}: {'; '.join(complaints or last)[:600]}",
        hint="mend what it says, then run the restore again",
    )
