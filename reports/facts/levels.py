"""The fewest parameters that reach an accuracy."""

from dataclasses import dataclass

from reports.facts.certainty import SIGMAS, standard_error
from reports.facts.reference import ReferencePoint, reference_points
from reports.facts.report_data import ReportData
from studies.records import StudentRecord

LADDER = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.995, 0.997, 0.999)
"""Levels that may be asked for (shares)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A level (share), the smallest retrained student that reaches it on the test set, and the smallest public network.

    The student is None where none does; it is `sure` when it would still reach the level `SIGMAS` standard errors
    below its mean.
    """

    level: float
    student: StudentRecord | None
    sure: bool
    public: ReferencePoint | None


def levels(report: ReportData) -> list[Level]:
    """The highest three levels that a student within the budget reaches, and the next one."""
    students = [s for s in report.students if report.config.budget.rejection_reason(s.architecture) is None]
    if not students:
        return []
    best = max(student.test for student in students)
    reached = [level for level in LADDER if level <= best][-3:]
    missed = [level for level in LADDER if level > best][:1]
    public = reference_points(report.data_name)
    found = []
    for level in [*reached, *missed]:
        student = next((s for s in students if s.test >= level), None)
        found.append(
            Level(
                level=level,
                student=student,
                sure=student is not None
                and student.test - SIGMAS * standard_error(student, report.samples.test) >= level,
                public=next((point for point in public if point.accuracy >= level), None),
            )
        )
    return found
