"""Mean and standard deviation of a training split."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def moments_of(x: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel; pixels, which are only counted, in 0..1."""
    if x.dtype != np.uint8:
        mean = x.mean(axis=(0, 1), dtype=np.float64)
        deviation = x.std(axis=(0, 1), dtype=np.float64)
        return tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist())
    level = np.arange(256) / 255
    pairs: list[tuple[float, float]] = []
    for channel in range(x.shape[1]):
        parts = (x[start : start + 1_000, channel].ravel() for start in range(0, len(x), 1_000))
        share = sum(np.bincount(part, minlength=256) for part in parts) / (x.size // x.shape[1])
        centre = float(share @ level)
        pairs.append((round(centre, 6), round(max(float(share @ (level - centre) ** 2) ** 0.5, 1e-3), 6)))
    means, deviations = zip(*pairs, strict=True)
    return means, deviations
