"""The fronts as rows, for CSV and JSON."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

from reports.report_data import ReportData
from space.architecture import Architecture
from space.cost import Cost
from space.describe import describe
from studies.records import StudentRecord, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One point of a front; accuracies are shares.

    Of a "retrained" point `validation_accuracy` is the mean over its `seeds`, None where validation samples were
    trained on; a "search" point has no test accuracy.
    `test_deviation` is the sample standard deviation, None for fewer than two seeds.
    """

    stage: Literal["search", "retrained"]
    trial: int | None
    architecture: Architecture
    cost: Cost
    epochs: float
    validation_accuracy: float | None
    seeds: int
    test_accuracy: float | None
    test_deviation: float | None


def rows(content: ReportData) -> list[Row]:
    """The retrained front, then the search front, smallest first."""
    return [*map(_retrained, content.student_front), *map(_search, content.front)]


def to_csv(points: list[Row]) -> str:
    """Rows as CSV; an architecture as its digest, family and layers."""
    columns = [
        "stage",
        "trial",
        "digest",
        "family",
        "layers",
        *Cost.__dataclass_fields__,
        "epochs",
        "validation_accuracy",
        "seeds",
        "test_accuracy",
        "test_deviation",
    ]
    table = pd.DataFrame([_flat(point) for point in points], columns=columns)
    # a column with gaps would turn trial numbers into 17.0
    return table.astype({"trial": "Int64"}).to_csv(index=False, lineterminator="\n")


def to_json(points: list[Row]) -> str:
    """Rows as a JSON list; the architecture is an object that `space.architecture` reads back."""
    rows = ({"digest": p.architecture.digest, **asdict(p), "architecture": p.architecture.to_dict()} for p in points)
    return json.dumps(list(rows), indent=2) + "\n"


def _retrained(student: StudentRecord) -> Row:
    deviation = student.test_deviation
    return Row(
        stage="retrained",
        trial=student.trial,
        architecture=student.architecture,
        cost=student.cost,
        epochs=student.seeds[0].curve[-1].epoch,
        validation_accuracy=student.validation,
        seeds=len(student.seeds),
        test_accuracy=student.test,
        test_deviation=None if math.isnan(deviation) else deviation,
    )


def _search(trial: TrialRecord) -> Row:
    return Row(
        stage="search",
        trial=trial.number,
        architecture=trial.architecture,
        cost=trial.cost,
        epochs=trial.epochs,
        validation_accuracy=trial.accuracy,
        seeds=1,
        test_accuracy=None,
        test_deviation=None,
    )


def _flat(point: Row) -> dict[str, object]:
    architecture = point.architecture
    named = {"digest": architecture.digest, "family": architecture.family, "layers": describe(architecture)}
    return {**asdict(point), **named, **asdict(point.cost)}
