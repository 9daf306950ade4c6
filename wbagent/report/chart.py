"""Charts as inline SVG: numbers over time with a limit and marked spans, and bars; colours come from the page's CSS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

_WIDTH: Final = 720
_HEIGHT: Final = 190
_LEFT: Final = 52
_RIGHT: Final = 10
_TOP: Final = 10
_BOTTOM: Final = 24
_DAY: Final = 86400.0
# Where time is marked: the first of these steps that gives no more than so many marks.
_STEPS: Final = (3600.0, 6 * 3600.0, _DAY, 7 * _DAY, 30 * _DAY)
_MOST_MARKS: Final = 9


@dataclass(frozen=True, slots=True)
class Point:
    """A value at wall-clock time `at`; `most` is the highest within its bucket."""

    at: float
    value: float
    most: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A span that is marked, such as an alert that fired; `title` is told when it is pointed at."""

    began: float
    ended: float
    title: str


@dataclass(frozen=True, slots=True)
class Axis:
    """What a chart shows: from when to when, up to which value, and how values are written."""

    since: float
    until: float
    top: float
    write: Callable[[float], str]

    def x(self, at: float) -> float:
        """Where a time is, within the chart whatever it is."""
        share = (at - self.since) / (self.until - self.since)
        return _LEFT + min(1.0, max(0.0, share)) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Where a value is, within the chart whatever it is."""
        share = min(1.0, max(0.0, value / self.top)) if self.top else 0.0
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def lines(
    axis: Axis,
    points: Sequence[Point],
    *,
    title: str,
    gap: float,
    limit: float | None = None,
    marks: Sequence[Mark] = (),
) -> str:
    """Values over time with their highest as a paler band; a line is broken where `gap` seconds have no value."""
    parts = [*_marks(axis, marks), *_grid(axis)]
    for run in _runs(points, gap):
        upper = " ".join(f"{axis.x(point.at):.1f},{axis.y(point.most):.1f}" for point in run)
        lower = " ".join(f"{axis.x(point.at):.1f},{axis.y(point.value):.1f}" for point in run)
        back = " ".join(reversed(lower.split()))
        parts.append(f'<polygon class="band" points="{upper} {back}"/><polyline class="line" points="{lower}"/>')
    if limit is not None:
        y = axis.y(limit)
        parts.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="limit-text" x="{_WIDTH - _RIGHT}" y="{y - 4:.1f}">{escape(axis.write(limit))}</text>'
        )
    return _svg(title, parts)


def bars(axis: Axis, values: Sequence[tuple[Point, str, str]], *, title: str) -> str:
    """A bar for each (point, class of its colour, what is told when it is pointed at)."""
    parts = list(_grid(axis))
    width = max(3.0, min(18.0, (_WIDTH - _LEFT - _RIGHT) / max(1, len(values)) - 2))
    for point, kind, text in values:
        y, left = axis.y(point.value), min(max(axis.x(point.at) - width / 2, _LEFT), _WIDTH - _RIGHT - width)
        parts.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{y:.1f}" width="{width:.1f}"'
            f' height="{max(1.5, _HEIGHT - _BOTTOM - y):.1f}"><title>{escape(text)}</title></rect>'
        )
    return _svg(title, parts)


def strip(axis: Axis, marks: Sequence[Mark], *, title: str) -> str:
    """A strip of time with spans marked on it."""
    x, width, height = _LEFT, _WIDTH - _LEFT - _RIGHT, 26
    parts = [f'<rect class="good" x="{x}" y="2" width="{width}" height="{height}"/>']
    for mark in marks:
        left = axis.x(mark.began)
        # An outage of a second in a month is seen too.
        parts.append(
            f'<rect class="bad" x="{left:.1f}" y="2" width="{max(2.0, axis.x(mark.ended) - left):.1f}"'
            f' height="{height}"><title>{escape(mark.title)}</title></rect>'
        )
    parts += _times(axis, height + 16)
    return _svg(title, parts, height + 22)


def _runs(points: Sequence[Point], gap: float) -> Iterator[list[Point]]:
    run: list[Point] = []
    for point in points:
        if run and point.at - run[-1].at > gap:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _marks(axis: Axis, marks: Sequence[Mark]) -> Iterator[str]:
    for mark in marks:
        left = axis.x(mark.began)
        yield (
            f'<rect class="firing" x="{left:.1f}" y="{_TOP}" width="{max(2.0, axis.x(mark.ended) - left):.1f}"'
            f' height="{_HEIGHT - _TOP - _BOTTOM}"><title>{escape(mark.title)}</title></rect>'
        )


def _grid(axis: Axis) -> Iterator[str]:
    for quarter in range(5):
        value = axis.top * quarter / 4
        y = axis.y(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="value" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(axis.write(value))}</text>'
    yield from _times(axis, _HEIGHT - 6)


def _times(axis: Axis, y: float) -> Iterator[str]:
    span = axis.until - axis.since
    step = next((step for step in _STEPS if span / step <= _MOST_MARKS), _STEPS[-1])
    zone = datetime.fromtimestamp(axis.since).astimezone().utcoffset()
    offset = zone.total_seconds() if zone else 0.0
    at = ((axis.since + offset) // step + 1) * step - offset
    while at < axis.until:
        text = f"{datetime.fromtimestamp(at).astimezone():{'%H:%M' if step < _DAY else '%b %d'}}"
        yield f'<text class="time" x="{axis.x(at):.1f}" y="{y:.1f}">{text}</text>'
        at += step


def _svg(title: str, parts: Sequence[str], height: float = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        + "".join(parts)
        + "</svg>"
    )
