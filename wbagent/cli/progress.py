"""Shows how far a backup or restore is: a bar on a terminal, else systemd's STATUS= line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wbagent.backup.progress import Progress, Reporter, to_systemd
from wbagent.quantities import format_size


@contextmanager
def progress_reporter() -> Iterator[Reporter]:
    """A Reporter for this process: a bar with bytes and rate on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield to_systemd
        return
    from rich.console import Console  # noqa: PLC0415 - not needed under systemd, where memory counts
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        # The rate that the job itself measured: this process may only hear of it once a second.
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[stored]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        stages: dict[str, TaskID] = {}

        def report(progress: Progress) -> None:
            if progress.stage not in stages:
                stages[progress.stage] = bar.add_task(progress.stage, total=None, stored="", rate="")
            stored = f"{format_size(progress.stored)} stored" if progress.stored else ""
            rate = f"{format_size(progress.rate)}/s"
            # What is expected of a dump is the size of the last one: the bar waits at its end for what is more.
            total = progress.read if progress.finished else max(progress.expected, progress.read) or None
            bar.update(stages[progress.stage], completed=progress.read, total=total, stored=stored, rate=rate)

        yield report
