"""Non-dominated sorting."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import le

import numpy as np
from numpy.typing import NDArray


def fronts(points: Sequence[Sequence[float]] | NDArray[np.float64]) -> list[int]:
    """Front that each of some points (two values or more, all minimised) is on.

    0 for points that none dominates, 1 for those that only points of front 0 dominate, and so on (Deb et al. 2002);
    of equal points, the later ones count as dominated.
    """
    if len(points) and len(points[0]) > 2:
        return _by_comparison([tuple(point) for point in points])
    first, second = np.asarray(points, np.float64).reshape(-1, 2).T
    order = np.lexsort((first, second))
    numbers = np.empty(len(order), np.int64)
    ranks: list[int] = []
    least: list[float] = []  # the first value, over the points of each front so far: all of them have a smaller second
    for value in first[order].tolist():
        ranks.append(bisect_right(least, value))
        least[ranks[-1] : ranks[-1] + 1] = [value]
    numbers[order] = ranks
    found: list[int] = numbers.tolist()
    return found


def _by_comparison(points: Sequence[Sequence[float]]) -> list[int]:
    numbers = [0] * len(points)
    known: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (tuple(points[i]), i)):  # dominating points come first
        above = [numbers[other] for other in known if all(map(le, points[other], points[index]))]
        numbers[index] = max(above, default=-1) + 1
        known.append(index)
    return numbers
