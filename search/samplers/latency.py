"""Latencies of students that were not measured, from those that were."""

from collections.abc import Sequence

import numpy as np

from search.samplers.predictor import Array, matrix
from space.architecture import Architecture
from studies.history import History

FEWEST = 8
"""Measured students below which a latency is taken to be in proportion to the multiply-accumulates."""
RIDGE = 1.0


def estimated_latencies(history: History, architectures: Sequence[Architecture]) -> Array:
    """Milliseconds of students, as good as a ridge regression of their logarithm on the predictor's features is."""
    measured = [trial for trial in history.trials if trial.latency_ms is not None]
    if len(measured) < FEWEST:
        return np.array([1e-6 * max(1, architecture.cost().macs) for architecture in architectures])
    known, asked = matrix([trial.architecture for trial in measured]), matrix(architectures)
    mean, deviation = known.mean(0), np.maximum(known.std(0), 1e-9)
    x, y = (known - mean) / deviation, np.log([trial.latency_ms or 1.0 for trial in measured])
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    found: Array = np.exp(np.clip((asked - mean) / deviation @ weights + y.mean(), y.min() - 1, y.max() + 1))
    return found
