"""How sure a mean test accuracy is: the spread over seeds and the chance in the choice of test samples, together."""

import math
from collections.abc import Sequence

from studies.records import StudentRecord

SIGMAS = 2.0
"""Standard errors that a difference must exceed to be told from chance (about one in twenty)."""


def sampling_error(accuracy: float, samples: int) -> float:
    """Standard error of an accuracy (share) measured on so many test samples."""
    return math.sqrt(max(accuracy * (1 - accuracy), 0) / max(1, samples))


def seed_error(student: StudentRecord) -> float:
    """Standard error of a student's mean test accuracy by its seeds; not a number for one seed."""
    return student.test_deviation / math.sqrt(len(student.seeds))


def standard_error(student: StudentRecord, samples: int) -> float:
    """Both errors together: of other seeds and other test samples; that of a lone seed is left out, being unknown."""
    seeds = seed_error(student)
    return math.hypot(0.0 if math.isnan(seeds) else seeds, sampling_error(student.test, samples))


def difference_error(first: Sequence[float], second: Sequence[float]) -> float:
    """Standard error of the difference of two means (Welch); not a number where either has a single value.

    >>> round(difference_error([0.99, 0.98], [0.97, 0.96]), 4)
    0.0071
    """
    if min(len(first), len(second)) < 2:
        return math.nan
    return math.sqrt(sum(_variance(values) / len(values) for values in (first, second)))


def seeds_needed(first: Sequence[float], second: Sequence[float]) -> int:
    """Seeds of each at which the difference that was seen would exceed its error `SIGMAS` times; 3 if none is known."""
    difference = abs(_mean(first) - _mean(second))
    if min(len(first), len(second)) < 2 or not difference:
        return 3
    needed = SIGMAS**2 * (_variance(first) + _variance(second)) / difference**2
    return max(min(len(first), len(second)) + 1, math.ceil(needed))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
