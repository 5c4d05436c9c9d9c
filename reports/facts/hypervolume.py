"""How much a front dominates: its hypervolume over the logarithms of error and size, and how that grew.

Zitzler and Thiele 1999. On logarithms, halving the error of a student of any size is worth the same.
"""

import math
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass

from reports.facts.report_data import ReportData
from studies.records import TrialRecord

SMALLEST_ERROR = 5e-5
"""Share; of a perfect student, so that it has a logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """What every point is compared with: the error (share) of a constant answer, and the budget's parameters."""

    error: float
    parameters: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The hypervolume of the complete trials when so many training images had been seen."""

    images: float
    hypervolume: float


def hypervolume(points: Iterable[tuple[float, float]], corner: Corner) -> float:
    """Area between a corner and the front of points (parameters, merit as a share), in decades of both.

    >>> f"{hypervolume([(100, 0.99), (1_000, 0.999)], Corner(error=0.1, parameters=10_000)):.3f}"
    '3.000'
    """
    area, top = 0.0, 0.0
    for parameters, merit in sorted(points, key=lambda point: (point[0], -point[1])):
        width = math.log10(corner.parameters / max(1.0, parameters))
        height = math.log10(corner.error / max(1 - merit, SMALLEST_ERROR))
        if width > 0 and height > top:
            area += width * (height - top)
            top = height
    return area


def corner_of(report: ReportData) -> Corner:
    """The corner of a study: where there is no limit of parameters, its largest trial."""
    largest = max((trial.cost.parameters for trial in report.trials), default=1)
    limit = report.config.budget.parameters or largest + 1
    return Corner(error=1 - report.majority.validation, parameters=limit)


def growth(report: ReportData) -> list[Growth]:
    """The hypervolume after every complete trial; in the order of the trials where nobody looked at the clock."""
    corner, found = corner_of(report), []
    front: list[tuple[float, float]] = []
    seen = 0.0
    for trial, epochs, last in _trained(report):
        seen += epochs * report.samples.train
        if last and trial.outcome == "complete" and trial.merit is not None:
            insort(front, (trial.cost.parameters, trial.merit))
            front = _front(front)
            found.append(Growth(images=seen, hypervolume=hypervolume(front, corner)))
    return found


def _trained(report: ReportData) -> list[tuple[TrialRecord, float, bool]]:
    """Each rung's trial, epochs of its own, and whether it was its trial's last, as they ended."""
    events = []
    for trial in report.trials:
        before = 0.0
        for rung in trial.rungs:
            when = (rung.ended or 0.0, trial.number, rung.epochs)
            events.append((when, trial, rung.epochs - before, rung is trial.rungs[-1]))
            before = rung.epochs
    return [(trial, epochs, last) for _, trial, epochs, last in sorted(events, key=lambda event: event[0])]


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    best, kept = -1.0, []
    for parameters, merit in sorted(points, key=lambda point: (point[0], -point[1])):
        if merit > best:
            best = merit
            kept.append((parameters, merit))
    return kept
