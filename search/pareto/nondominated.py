"""Non-dominated sorting."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import le


def fronts(points: Sequence[Sequence[float]]) -> list[int]:
    """Front that each of some points (two values or more, all minimised) is on.

    0 for points that none dominates, 1 for those that only points of front 0 dominate, and so on (Deb et al. 2002);
    of equal points, the later ones count as dominated.
    """
    if points and len(points[0]) > 2:
        return _by_comparison(points)
    numbers = [0] * len(points)
    least: list[float] = []  # the first value, over the points of each front so far: all of them have a smaller second
    for index in sorted(range(len(points)), key=lambda i: (points[i][1], points[i][0])):
        front = numbers[index] = bisect_right(least, points[index][0])
        least[front : front + 1] = [points[index][0]]
    return numbers


def _by_comparison(points: Sequence[Sequence[float]]) -> list[int]:
    numbers = [0] * len(points)
    known: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (tuple(points[i]), i)):  # dominating points come first
        above = [numbers[other] for other in known if all(map(le, points[other], points[index]))]
        numbers[index] = max(above, default=-1) + 1
        known.append(index)
    return numbers
