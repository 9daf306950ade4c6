"""One look that several checks need: taken once, and where it fails that is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from wbagent.checks.check import Finding, Run, Subject, listed, note
from wbagent.errors import AccessError, WbagentError

T = TypeVar("T")


class Once(Generic[T]):
    """What `ask` gives; `missing` says what the other checks lack where it raises WbagentError.

    `told_by`: the command of an area that fails with the same cause, so that here it is a note; "" where none does.
    """

    def __init__(self, ask: Callable[[], T], missing: str, told_by: str = "") -> None:
        self._ask = ask
        self._missing = missing
        self._told_by = told_by
        self._known: list[T] = []
        self._failed: WbagentError | None = None

    def then(self, judge: Callable[[T], Finding | Iterable[Finding]]) -> Callable[[Subject], list[Finding]]:
        """A check of it. The first one fails with the cause, the others note that they could not look."""

        def run(_: Subject) -> list[Finding]:
            if self._failed is not None:
                return [note(f"not looked at: {self._missing}")]
            if not self._known:
                try:
                    self._known = [self._ask()]
                except WbagentError as error:
                    self._failed = error
                    if self._told_by and not isinstance(error, AccessError):
                        return [note(f"not looked at: {self._missing}", remedy=self._told_by)]
                    raise
            return listed(judge(self._known[0]))

        return run

    def unless(self, kind: type[WbagentError], run: Run) -> Run:
        """A check that asks for itself, left out after a failure of this `kind`: it would wait as long, for nothing."""

        def gated(subject: Subject) -> Finding | Iterable[Finding]:
            if isinstance(self._failed, kind):
                return [note(f"not looked at: {self._missing}")]
            return run(subject)

        return gated
