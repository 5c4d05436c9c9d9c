"""Studies side by side: front against front, at equal sizes, and the settings in which they differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.facts.certainty import SIGMAS, difference_error
from reports.facts.formats import gain
from reports.facts.hypervolume import Corner, corner_of, hypervolume
from reports.facts.report_data import ReportData
from reports.facts.reproduction import differing_settings
from studies.records import StudentRecord

SIZES = (500, 1_000, 2_000, 4_000, 10_000, 30_000, 100_000)
"""Parameters that students of a row have at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One study: its name among the others, and its hypervolumes against a common corner.

    `searched` is that of the search front (validation), `retrained` that of the retrained students (test means).
    """

    name: str
    report: ReportData
    searched: float
    retrained: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """How far a study's student is ahead of the first study's (share of test samples), and the difference's error.

    The error is not a number where one of them has a single seed; `told_apart` when the difference exceeds it
    `SIGMAS` times.
    """

    difference: float
    error: float

    @property
    def told_apart(self) -> bool:
        """Whether the difference is hardly chance."""
        return not math.isnan(self.error) and abs(self.difference) > SIGMAS * self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The best student of each study with so many parameters at most, and the later ones against the first."""

    parameters: int
    students: tuple[StudentRecord | None, ...]
    duels: tuple[Duel | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Studies side by side; `same_data` says whether they were tested on the same samples."""

    contenders: tuple[Contender, ...]
    corner: Corner
    rows: tuple[Row, ...]
    settings: dict[str, list[str]]
    same_data: bool


def compare(reports: Sequence[ReportData]) -> Comparison:
    """Compare studies, the first with each of the others."""
    names = _names(reports)
    corners = [corner_of(report) for report in reports]
    corner = Corner(error=max(c.error for c in corners), parameters=max(c.parameters for c in corners))
    contenders = tuple(
        Contender(
            name=name,
            report=report,
            searched=hypervolume([(t.cost.parameters, t.merit or 0) for t in report.front], corner),
            retrained=hypervolume([(s.cost.parameters, s.test) for s in report.student_front], corner),
        )
        for name, report in zip(names, reports, strict=True)
    )
    return Comparison(
        contenders=contenders,
        corner=corner,
        rows=tuple(_rows(reports)),
        settings=differing_settings({name: report.config for name, report in zip(names, reports, strict=True)}),
        same_data=len({report.digests["data"] for report in reports}) == 1,
    )


def duel_in_words(duel: Duel | None) -> str:
    """A difference with its error, and whether it is more than chance."""
    if duel is None:
        return "–"
    if math.isnan(duel.error):
        return f"{gain(duel.difference)} (one seed)"
    return f"{gain(duel.difference)} ± {100 * duel.error:.2f}{'' if duel.told_apart else ', may be chance'}"


def _names(reports: Sequence[ReportData]) -> list[str]:
    """Names of the studies, with their folders where two have the same."""
    names = [report.name for report in reports]
    return [report.path if names.count(report.name) > 1 else report.name for report in reports]


def _rows(reports: Sequence[ReportData]) -> list[Row]:
    rows, before = [], tuple[StudentRecord | None, ...]()
    for size in SIZES:
        students = tuple(_best(report, size) for report in reports)
        if students == before or not any(students):
            continue
        before = students
        rows.append(Row(parameters=size, students=students, duels=tuple(_duel(students[0], s) for s in students[1:])))
    return rows


def _best(report: ReportData, parameters: int) -> StudentRecord | None:
    """The student of at most so many parameters that is best on validation, never chosen by its test."""
    small = [student for student in report.student_front if student.cost.parameters <= parameters]
    return max(small, key=lambda student: student.merit or 0, default=None)


def _duel(first: StudentRecord | None, second: StudentRecord | None) -> Duel | None:
    if first is None or second is None:
        return None
    tests = [[seed.test for seed in student.seeds] for student in (first, second)]
    return Duel(difference=second.test - first.test, error=difference_error(*tests))
