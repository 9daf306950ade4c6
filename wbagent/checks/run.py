"""Runs areas side by side and the checks of each in order, every check with its time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from wbagent.checks.check import Check, Finding, Result, Subject, Verdict, fail, listed, note
from wbagent.checks.scratch import Scratch
from wbagent.errors import AccessError, WbagentError, foreseen
from wbagent.quantities import format_duration

# How long what was interrupted may take to end by itself, so that it makes nothing after the clearing up (seconds).
_GRACE_S: Final = 3.0
# How long the clearing up may take: a store that is gone must not keep a person from the prompt (seconds).
_CLEAR_S: Final = 15.0


class Progress:
    """Which check of each area runs now; `changed` is called with that from several threads, one at a time."""

    def __init__(self, changed: Callable[[Mapping[str, str]], None] = lambda _: None) -> None:
        self._changed = changed
        self._running: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextmanager
    def at(self, area: str, check: str) -> Iterator[None]:
        """Within the block `area` is at `check`."""
        with self._lock:
            self._running[area] = check
            self._changed(self._running)
        try:
            yield
        finally:
            with self._lock:
                del self._running[area]
                self._changed(self._running)

    def within(self, area: str, step: str) -> None:
        """The check that `area` is at has come to this step of its own."""
        with self._lock:
            if area in self._running:
                self._running[area] = step
                self._changed(self._running)


def run(areas: Mapping[str, Sequence[Check]], subject: Subject, progress: Progress | None = None) -> tuple[Result, ...]:
    """Run all checks; the results in the order of the areas and of their checks.

    What was made by a check is removed when this returns, also by KeyboardInterrupt, which it lets through.
    """
    results: dict[str, list[Result]] = {area: [] for area in areas}
    subject = replace(subject, areas=frozenset(areas))
    # Daemons, since those of a pool are waited for at exit, however long a hanging file system holds them.
    threads = [
        threading.Thread(target=_area, args=(area, checks, subject, progress or Progress(), results[area]), daemon=True)
        for area, checks in areas.items()
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        _clear(subject.scratch)
        _end(threads)
    return tuple(result for found in results.values() for result in found)


def exit_status(results: Iterable[Result]) -> int:
    """0 when all passed or are notes, 1 with a warning, 2 with a failure."""
    worst = max((result.finding.verdict.rank for result in results), default=0)
    return {Verdict.WARN.rank: 1, Verdict.FAIL.rank: 2}.get(worst, 0)


def _clear(scratch: Scratch) -> None:
    thread = threading.Thread(target=scratch.clear, daemon=True)
    thread.start()
    thread.join(_CLEAR_S)
    if thread.is_alive():
        scratch.left.append(f"what a check has made: it takes longer than {format_duration(_CLEAR_S)}")


def _end(threads: Sequence[threading.Thread]) -> None:
    until = time.monotonic() + _GRACE_S
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0.0))


def _area(area: str, checks: Sequence[Check], subject: Subject, progress: Progress, results: list[Result]) -> None:
    for check in checks:
        if subject.scratch.closed:
            return
        begun = time.monotonic()
        with progress.at(area, check.name):
            findings = _within_limit(check, subject)
        took = time.monotonic() - begun
        results += [Result(area, check.name, check.why, check.section, finding, took) for finding in findings]


def _within_limit(check: Check, subject: Subject) -> list[Finding]:
    """The findings, or a failure when there are none within the limit: the thread is left to its fate then."""
    found: list[Finding] = []
    thread = threading.Thread(target=lambda: found.extend(_findings(check, subject)), daemon=True)
    thread.start()
    thread.join(check.time_limit_s)
    if not thread.is_alive():
        return found
    limit = format_duration(check.time_limit_s)
    return [fail(f"no answer within {limit}", needed="an answer", remedy="find out what hangs there; then check again")]


def _findings(check: Check, subject: Subject) -> list[Finding]:
    try:
        return listed(check.run(subject))
    except AccessError as error:
        # What this user may not see is not known to be wrong.
        return [note(f"not looked at: {error.message}", remedy=error.hint)]
    except WbagentError as error:
        return [fail(error.message, needed="", remedy=error.hint)]
    except OSError as error:
        return [
            fail(
                ": ".join(str(part) for part in (error.filename, error.strerror or error) if part), needed="", remedy=""
            )
        ]
    except Exception as error:
        # One check that breaks must not take the results of the others away.
        told = foreseen(error, WbagentError)
        return [fail(told.message, needed="", remedy=told.hint)]
