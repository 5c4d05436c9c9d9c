"""Non-dominated sorting."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fronts(points: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.int64]:
    """Front that each of some points (points, two values or more, all minimised) is on, int64 (points,).

    0 for points that none dominates, 1 for those that only points of front 0 dominate, and so on (Deb et al. 2002);
    of equal points, the later ones count as dominated.

    >>> fronts([(1.0, 3.0), (2.0, 2.0), (3.0, 2.0)]).tolist()
    [0, 0, 1]
    """
    values = np.asarray(points, dtype=np.float64)
    found = np.zeros(len(values), dtype=np.int64)
    if len(values):
        order = np.lexsort(values.T)  # by the last value, then by those before it: dominating points come first
        found[order] = (_of_two if values.shape[1] == 2 else _of_more)(values[order])
    return found


def _of_two(ordered: NDArray[np.float64]) -> list[int]:
    numbers = []
    least: list[float] = []  # the first value, over the points of each front so far: all of them have a smaller second
    for value in ordered[:, 0].tolist():
        front = bisect_right(least, value)
        least[front : front + 1] = [value]
        numbers.append(front)
    return numbers


def _of_more(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
    numbers = np.zeros(len(ordered), dtype=np.int64)
    for index, point in enumerate(ordered):
        above = numbers[:index][(ordered[:index] <= point).all(axis=1)]
        numbers[index] = above.max(initial=-1) + 1
    return numbers
