"""How well early rungs foresaw what happened later: rank correlations (Spearman 1904)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.facts.formats import counted
from reports.facts.report_data import ReportData

FEWEST = 5
"""Pairs below which a correlation says nothing, and is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How an `early` measurement ranks students that also have a `later` one: correlation of the ranks, of how many."""

    early: str
    later: str
    correlation: float
    students: int


def rankings(report: ReportData) -> list[Ranking]:
    """Each rung against the last, among those that reached it, then the last rung against retraining."""
    rungs, found = report.config.search.rungs, []
    for rung in rungs[:-1]:
        pairs = [(t.at(rung), t.at(rungs[-1])) for t in report.trained if t.epochs >= rungs[-1]]
        found += _ranking(f"after {counted(rung, 'epoch')}", f"after {counted(rungs[-1], 'epoch')}", pairs)
    retrained = [(student.searched, student.merit) for student in report.students if student.validation is not None]
    return found + _ranking(f"after {counted(rungs[-1], 'epoch')}", "after retraining", retrained)


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Correlation of the ranks, ties sharing theirs; not a number where either is constant.

    >>> correlation([1, 2, 3], [10, 20, 5])
    -0.5
    """
    one, other = _ranks(first), _ranks(second)
    mean = (len(one) - 1) / 2
    spread = math.sqrt(sum((a - mean) ** 2 for a in one) * sum((b - mean) ** 2 for b in other))
    if not spread:
        return math.nan
    return sum((a - mean) * (b - mean) for a, b in zip(one, other, strict=True)) / spread


def _ranking(early: str, later: str, pairs: Sequence[tuple[float | None, float | None]]) -> list[Ranking]:
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len(known) < FEWEST:
        return []
    value = correlation([a for a, _ in known], [b for _, b in known])
    return [] if math.isnan(value) else [Ranking(early=early, later=later, correlation=value, students=len(known))]


def _ranks(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]
