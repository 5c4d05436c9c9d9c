"""Latencies of students that were not measured, from those that were."""

from collections.abc import Sequence

import numpy as np

from search.samplers.predictor import Array

FEWEST = 8
"""Measured students below which a latency is taken to be in proportion to the multiply-accumulates."""
RIDGE = 1.0


def estimated_latencies(known: Array, measured: Sequence[float], asked: Array, macs: Sequence[int]) -> Array:
    """Milliseconds of students, as good as a ridge regression of their logarithm on the predictor's features is.

    Args:
        known: features of the students that were measured, float64 (measured, features).
        measured: what they took [ms].
        asked: features of the others, float64 (asked, features).
        macs: their multiply-accumulates.
    """
    if len(measured) < FEWEST:
        return np.array([1e-6 * max(1, one) for one in macs])
    mean, deviation = known.mean(0), np.maximum(known.std(0), 1e-9)
    x, y = (known - mean) / deviation, np.log(measured)
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    found: Array = np.exp(np.clip((asked - mean) / deviation @ weights + y.mean(), y.min() - 1, y.max() + 1))
    return found
