"""Reads what `wandb verify` prints: which of its steps passed, which warn, which failed, and with what words.

After wandb/sdk/verify/verify.py of wandb 0.12 to 0.31: a step is its label, padded with dots to 72 characters, then a
tick or a cross; below a cross stand the reasons, yellow for a warning, red for a failure. They are coloured in a pipe
too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

WHOLE: Final = "wandb verify"
_WIDTH: Final = 72
# Of the longest label, on a terminal of 20 columns.
_PARTS: Final = 4
_ESCAPE: Final = re.compile(r"(\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE_END: Final = re.compile(r"\r\n|[\n\r]")
_LABEL: Final = re.compile(r"(?P<label>Checking [^.]*|[^.]+)(?P<dots>\.{3,})")
_DOTS: Final = re.compile(r"\.+")
_GOOD: Final = ("\u2705", "\u2714", "\u2713")
_BAD: Final = ("\u274c", "\u2716", "\u2717", "\u2718")
_TRACEBACK: Final = "Traceback (most recent call last):"
_CHAINED: Final = ("During handling of the above exception", "The above exception was the direct cause")
# Where there are no colours: the steps whose cross is a warning.
_WARNINGS: Final = ("Checking requests to base url", "Checking requests made over signed", "Checking CORs")
_WARNING: Final = "not supported by your local installation"
# What it says when all is well, and its progress.
_USUAL: Final = re.compile(
    r"wandb:$|(?:wandb: )?(?:Default host selected: |Find detailed logs for this test at: )"
    r"|wandb: (?:Currently logged in as: |Using wandb-core |Appending key for |\[wandb\.login\(\)\] "
    r"|W&B API key is configured|WARNING If you're specifying your api key in code|[-\\|/⣾⣽⣻⢿⡿⣟⣯⣷] )"
)


class Outcome(StrEnum):
    """How a step ended; `cut`: it did not."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Step:
    """One of its steps; `reasons` for what is not well, `other`: lines that came meanwhile, as they are."""

    label: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """All that was printed. `other`: lines outside of any step, as they are."""

    steps: tuple[Step, ...]
    other: tuple[str, ...]


def read(text: str) -> Account:
    """The account of any text.

    Invariant: nothing is lost but blank lines, progress and what is usual. A step with a traceback has failed,
    whatever mark stands behind it; outside of the steps a traceback is a failed step of its own, named `WHOLE`.
    """
    lines = list(_unwrapped(_coloured(text)))
    reading = _Reading(coloured=any(colour for _, colour in lines))
    for line, colour in lines:
        reading.take(line, colour)
    return reading.account()


def label_in(text: str) -> str | None:
    """The label of the step that a line begins, also while the line is not complete; None for any other line."""
    found = _label(_CONTROL.sub("", _ESCAPE.sub("", text)))
    return found[1] if found else None


def _label(line: str) -> tuple[str, str, str] | None:
    """What stands before the label, the label, and what comes after its dots."""
    start = max(line.find("Checking "), 0)
    match = _LABEL.match(line, start)
    if match is None or line.startswith(("wandb:", " ")):
        return None
    exact = len(match[0]) == _WIDTH
    if not (exact or match["label"].startswith("Checking ")):
        return None
    return line[:start], " ".join(match["label"].split()), line[match.end() :]


def _coloured(text: str) -> Iterator[tuple[str, str]]:
    """Each line without escape sequences, with the colour of its first visible character: "red", "yellow" or ""."""
    colour, line, of_line = "", "", ""
    for part in _ESCAPE.split(text):
        if part.startswith("\x1b"):
            if part.endswith("m"):
                colour = _colour_after(part[2:-1], colour)
            continue
        first, *rest = _LINE_END.split(part)
        of_line = of_line or (colour if first.strip() else "")
        line += first
        for following in rest:
            yield _CONTROL.sub("", line), of_line
            line, of_line = following, (colour if following.strip() else "")
    yield _CONTROL.sub("", line), of_line


def _colour_after(codes: str, before: str) -> str:
    colours = {"31": "red", "91": "red", "33": "yellow", "93": "yellow", "0": "", "": "", "39": ""}
    for code in codes.split(";"):
        before = colours.get(code, before)
    return before


def _unwrapped(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A label that a narrow terminal broke into several lines is one line again."""
    held: list[tuple[str, str]] = []
    for line, colour in lines:
        if held or (line.startswith("Checking ") and "..." not in line):
            held.append((line, colour))
            whole = "".join(text for text, _ in held)
            if _label(whole):
                yield whole, held[0][1]
                held = []
            elif len(held) == _PARTS or "..." in whole:
                yield from held
                held = []
        else:
            yield line, colour
    yield from held


@dataclass
class _Open:
    """A step that is being read."""

    label: str
    mark: str = ""
    reasons: list[tuple[str, str]] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    crashed: str | None = None

    def close(self) -> Step:
        other = tuple(self.other)
        if self.crashed is not None:
            reasons = (*(text for text, _ in self.reasons), self.crashed or "a traceback")
            return Step(self.label, Outcome.FAILED, reasons, other)
        reasons = tuple(text for text, _ in self.reasons)
        if self.mark in _GOOD:
            return Step(self.label, Outcome.PASSED, reasons, other)
        return Step(self.label, self._bad() if self.mark else Outcome.CUT, reasons, other)

    def _bad(self) -> Outcome:
        colours = {colour for _, colour in self.reasons}
        if colours & {"red", "yellow"}:
            return Outcome.FAILED if "red" in colours else Outcome.WARNED
        mild = self.label.startswith(_WARNINGS) or any(_WARNING in text for text, _ in self.reasons)
        return Outcome.WARNED if mild else Outcome.FAILED


class _Reading:
    """Where the reading is: in which step, and whether in a traceback."""

    def __init__(self, *, coloured: bool) -> None:
        self._has_colours = coloured
        self._steps: list[Step] = []
        self._other: list[str] = []
        self._open: _Open | None = None
        # None: in no traceback; "frames": before its last line; "message": in the lines of its message.
        self._traceback: str | None = None

    def take(self, line: str, colour: str) -> None:
        line = line.rstrip()
        if found := _label(line):
            before, label, rest = found
            if before.strip():
                self._plain(before, "")
            self._end()
            self._open = _Open(label)
            line = rest
        if not line.strip():
            return
        if _TRACEBACK in line:
            self._begin_traceback(line.partition(_TRACEBACK)[0])
        elif self._traceback is None or not self._in_traceback(line):
            self._marked(line, colour)

    def account(self) -> Account:
        self._end()
        return Account(tuple(self._steps), tuple(self._other))

    def _end(self) -> None:
        self._traceback = None
        if self._open is not None:
            self._steps.append(self._open.close())
            self._open = None

    def _begin_traceback(self, before: str) -> None:
        if before.strip(" +|"):
            self._plain(before, "")
        if self._open is None:
            self._open = _Open(WHOLE)
        self._open.crashed = ""
        self._traceback = "frames"

    def _in_traceback(self, line: str) -> bool:
        """Whether the line is one of the traceback's; what it was about in the end is in its last lines."""
        assert self._open is not None  # noqa: S101 - a traceback opens a step
        if line.startswith(_CHAINED):
            return True
        if line.startswith("wandb:") or line.strip().startswith((*_GOOD, *_BAD)):
            self._traceback = None
            return False
        if self._traceback == "frames" and line[0].isspace():
            return True
        self._open.crashed = f"{self._open.crashed} {line.strip()}".strip() if self._traceback == "message" else line
        self._traceback = "message"
        return True

    def _marked(self, line: str, colour: str) -> None:
        text = line.strip()
        mark = next((mark for mark in (*_GOOD, *_BAD) if text.endswith(mark)), "")
        if not mark:
            self._plain(line, colour)
            return
        before = text.removesuffix(mark).strip()
        if self._open is None or self._open.mark:
            if before:
                self._plain(line, colour)
                return
            self._end()
            # Refused before its first step: for the public cloud.
            self._open = _Open(WHOLE)
        if before and not _DOTS.fullmatch(before):
            self._plain(before, colour)
        self._open.mark = mark

    def _plain(self, line: str, colour: str) -> None:
        opened = self._open
        # Dots of a label that was wrapped.
        dots = opened is not None and not opened.mark and _DOTS.fullmatch(line.strip())
        if dots or _USUAL.match(line):
            return
        reason = opened is not None and opened.mark in _BAD and (colour or not self._has_colours)
        if opened is not None and reason and not (line.startswith("wandb:") and not colour):
            opened.reasons.append((line.strip(), colour))
            return
        other = self._other if opened is None or opened.mark else opened.other
        if not other or other[-1] != line:
            other.append(line)


def failed(steps: Sequence[Step]) -> bool:
    """Whether any step did not do what it should."""
    return any(step.outcome in {Outcome.FAILED, Outcome.CUT} for step in steps)
