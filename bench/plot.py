"""Draws the figures of one measurement as bars, an SVG that needs no program to be looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.measurement import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
_LEFT, _WIDTH, _BAR, _GAP, _RIGHT = 170, 420, 18, 8, 150
# Readable on light and on dark pages.
_STYLE = (
    "text{font:13px sans-serif;fill:#222}.ours{fill:#2a7ab0}.theirs{fill:#999}.range{stroke:#d2691e;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def draw(name: str, metrics: Sequence[tuple[str, str]]) -> Path:
    """Write docs/NAME.svg from bench/results/NAME.json and return its path; `metrics` are pairs of name and title."""
    parties = json.loads((RESULTS / f"{name}.json").read_text())["parties"]
    lines, top = [], 0
    for metric, title in metrics:
        figures = {party: values[metric] for party, values in parties.items() if metric in values}
        lines += [f'<text x="0" y="{top + 18}" font-weight="bold">{escape(title)}</text>']
        top += 28
        longest = max(figure["max"] for figure in figures.values())
        for party, figure in figures.items():
            lines += _bar(party, figure, top, _WIDTH / longest)
            top += _BAR + _GAP
        top += 12
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{top}"'
    text = "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{_STYLE}</style>", *lines, "</svg>"])
    path = DOCS / f"{name}.svg"
    path.write_text(text + "\n")
    return path


def _bar(party: str, figure: dict[str, float], top: int, scale: float) -> list[str]:
    """The median as a bar, the range as a line over it."""
    kind = "ours" if party.startswith("wbagent") else "theirs"
    middle, text = top + _BAR // 2, top + _BAR - 5
    first, last = (_LEFT + figure[end] * scale for end in ("min", "max"))
    return [
        f'<text x="0" y="{text}">{escape(party)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{figure["median"] * scale:.1f}" height="{_BAR}"/>',
        f'<line class="range" x1="{first:.1f}" x2="{last:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{last + 8:.1f}" y="{text}">{figure["median"]:.1f}</text>',
    ]
