"""When something that shrinks will be used up: a straight line through its past that noise and steps do not bend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

# (when, how much was left)
Point = tuple[float, float]

# How much of the past is looked at, and how much of it there must be (seconds).
WINDOW_S: Final = 6 * 3600.0
_SHORTEST_S: Final = 2 * 3600.0
_FEWEST: Final = 12
# Less than this part of the whole within the window is noise.
_LEAST_LOSS: Final = 0.01
# Of all pairs of points, so many must show a loss: noise has half of them, a single step no more than half.
_AGREEMENT: Final = 0.75
# And the newest quarter of the time must still lose at least at this part of the rate.
_STILL: Final = 0.5
# Neighbours of which the median is taken to find where a step may be: one wrong point is none.
_NEIGHBOURS: Final = 3


def seconds_left(points: Sequence[Point], left: float, whole: float) -> float | None:
    """In how many seconds `left` of `whole` is used up if it goes on like this; None: there is no such trend.

    The rate is the median of those between all pairs of points (Theil and Sen), so that up to 29 % of them may be wrong
    in any way. Invariant: None for whatever stays within 1 % of the whole, for one step or ramp that is over, for
    what grows, and for a past shorter than two hours or with fewer than twelve points.
    """
    points = sorted(points)
    if len(points) < _FEWEST or points[-1][0] - points[0][0] < _SHORTEST_S:
        return None
    span = points[-1][0] - points[0][0]
    rates = _rates(points)
    rate = median(rates)
    losing = sum(each < 0 for each in rates)
    newest = _rates([point for point in points if point[0] >= points[-1][0] - span / 4])
    values = [value for _, value in points]
    loss = min(-rate * span, max(values) - min(values))
    if rate >= 0 or loss < _LEAST_LOSS * whole or losing < _AGREEMENT * len(rates):
        return None
    if not newest or median(newest) > _STILL * rate:
        return None
    step = _step(values)
    # Half of the pairs are on either side of a step in the middle, and noise alone makes half of the others lose.
    apart = _rates(points[:step]) + _rates(points[step:])
    if not apart or -median(apart) * span < _LEAST_LOSS * whole:
        return None
    return max(left, 0.0) / -rate


def _step(values: Sequence[float]) -> int:
    """Before which value the largest step down is, if there is one at all."""

    def down(at: int) -> float:
        return median(values[max(at - _NEIGHBOURS, 0) : at]) - median(values[at : at + _NEIGHBOURS])

    return max(range(1, len(values)), key=down)


def _rates(points: Sequence[Point]) -> list[float]:
    return [(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in combinations(points, 2)
            if later[0] > earlier[0]]  # fmt: skip
