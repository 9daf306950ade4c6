"""The results of checks as a person reads them: a line for each, what mends it below, and what is amiss at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from wbagent.checks.check import Result, Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# In capitals where a person has to act, so that it catches the eye without colours too.
_WORDS: Final = {Verdict.PASS: "pass", Verdict.NOTE: "note", Verdict.WARN: "WARN", Verdict.FAIL: "FAIL"}
_COLOURS: Final = {Verdict.PASS: "green", Verdict.NOTE: "cyan", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
_VERDICT_WIDTH: Final = 8
_LABEL_WIDTH: Final = 8
# Of the longest name of a check, so that what was found keeps most of a line of 80.
_NAME_WIDTH: Final = 22
_FOUND_WIDTH: Final = 30
# As wide as lines are where nobody has a screen: one finding a line, for grep.
_UNBROKEN: Final = 100_000


def show(results: Sequence[Result], console: Console | None = None) -> None:
    """Print the results on this console (stdout)."""
    from rich.console import Console as StandardOutput  # noqa: PLC0415 - 50 ms, which --json need not wait for

    on = console or StandardOutput(highlight=False)
    for line in _lines(results, on, on.width if on.is_terminal else _UNBROKEN):
        # Broken here already, but for commands: those stay whole, so that they can be copied from the screen.
        on.print(line, soft_wrap=True)


def _lines(results: Sequence[Result], console: Console, width: int) -> Iterator[Text]:
    from rich.text import Text  # noqa: PLC0415 - as above

    longest = max((len(_name(result)) for result in results), default=0)
    names = min(longest, max(_NAME_WIDTH, width // 4))
    told: set[str] = set()
    for area in dict.fromkeys(result.area for result in results):
        yield Text(area, "bold")
        for result in results:
            if result.area == area:
                yield from _finding(result, told, console, names, width)
    yield Text()
    yield from _summary(results, console, width)


def _finding(result: Result, told: set[str], console: Console, names: int, width: int) -> Iterator[Text]:
    """One finding: verdict, name and what was found beside each other, the rest below."""
    from rich.text import Text  # noqa: PLC0415 - as above

    finding = result.finding
    name = _broken(_name(result), console, names)
    found = _broken(finding.found, console, max(width - _VERDICT_WIDTH - names - 2, _FOUND_WIDTH))
    for number in range(max(len(name), len(found))):
        line = Text()
        line.append("" if number else f"  {_WORDS[finding.verdict]}", _COLOURS[finding.verdict])
        line.pad_right(_VERDICT_WIDTH - line.cell_len)
        line.append(name[number] if number < len(name) else "")
        line.pad_right(_VERDICT_WIDTH + names + 2 - line.cell_len)
        line.append(found[number] if number < len(found) else "")
        line.rstrip()
        yield line
    if finding.verdict is not Verdict.PASS:
        yield from _below(result, told, console, width)


def _below(result: Result, told: set[str], console: Console, width: int) -> Iterator[Text]:
    """What is needed, why (once on a page; not where nothing is wrong), and what to type, which is never broken."""
    from rich.text import Text  # noqa: PLC0415 - as above

    finding, why = result.finding, ""
    if result.why not in told and (finding.verdict is not Verdict.NOTE or finding.needed):
        why = f"{result.why} ({result.section})" if result.section else result.why
        told.add(result.why)
    room = max(width - _VERDICT_WIDTH - _LABEL_WIDTH, _FOUND_WIDTH)
    told_below = (
        ("needed", _broken(finding.needed, console, room), ""),
        ("why", _broken(why, console, room), ""),
        ("try", _safe(finding.remedy).splitlines(), "bold"),
    )
    for label, lines, style in told_below:
        for number, line in enumerate(filter(None, lines)):
            head = f"{'':<{_VERDICT_WIDTH}}{'' if number else label:<{_LABEL_WIDTH}}"
            yield Text.assemble((head, "dim"), (line, style))


def _summary(results: Sequence[Result], console: Console, width: int) -> Iterator[Text]:
    """What failed and what to warn of by name, the rest as numbers: what a long page ends with is read first."""
    from rich.text import Text  # noqa: PLC0415 - as above

    of: dict[Verdict, list[Result]] = {verdict: [] for verdict in Verdict}
    for result in results:
        of[result.finding.verdict].append(result)
    for verdict in (Verdict.FAIL, Verdict.WARN):
        named = ", ".join(dict.fromkeys(f"{result.area} {_name(result)}" for result in of[verdict]))
        for number, line in enumerate(_broken(named, console, width - _VERDICT_WIDTH) if named else ()):
            yield Text.assemble((f"{'' if number else _WORDS[verdict]:<{_VERDICT_WIDTH}}", _COLOURS[verdict]), line)
    words = {Verdict.PASS: "passed", Verdict.NOTE: "to note", Verdict.WARN: "to warn of", Verdict.FAIL: "failed"}
    yield Text(", ".join(f"{len(of[verdict])} {words[verdict]}" for verdict in Verdict))


def _name(result: Result) -> str:
    about = result.finding.about
    return _safe(f"{result.check}: {about}" if about else result.check)


def _broken(text: str, console: Console, width: int) -> list[str]:
    from rich.text import Text  # noqa: PLC0415 - as above

    return [line.plain.rstrip() for line in Text(_safe(text)).wrap(console, width)]


def _safe(text: str) -> str:
    """Without what would steer a terminal: names of containers and certificates were chosen by others."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)
