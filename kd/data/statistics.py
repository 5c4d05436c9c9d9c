"""Mean and standard deviation of a training split."""

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.mapped import LARGE, parts


def moments_of(x: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel; pixels, which are only counted, in 0..1."""
    if x.dtype != np.uint8:
        return _of_features(x)
    level = np.arange(256) / 255
    counts = np.zeros((x.shape[1], 256), np.int64)
    for part in parts(x):
        for channel in range(x.shape[1]):
            counts[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    pairs: list[tuple[float, float]] = []
    for share in counts / (x.size // x.shape[1]):
        centre = float(share @ level)
        pairs.append((round(centre, 6), round(max(float(share @ (level - centre) ** 2) ** 0.5, 1e-3), 6)))
    means, deviations = zip(*pairs, strict=True)
    return means, deviations


def _of_features(x: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Those of sequences, (n, time, features)."""
    many = parts if x.nbytes > LARGE else lambda x: iter([x])  # sums in one go round otherwise
    count = x.shape[0] * x.shape[1]
    mean = reduce(np.add, (part.sum(axis=(0, 1), dtype=np.float64) for part in many(x))) / count
    squares = (np.square(part - mean).sum(axis=(0, 1), dtype=np.float64) for part in many(x))
    deviation = np.sqrt(reduce(np.add, squares) / count)
    return tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist())
