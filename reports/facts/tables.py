"""The fronts as rows, for CSV and JSON; trials and retrained students as pandas frames."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

from kd.optim.recipe import PREFIX
from reports.facts.report_data import ReportData
from space.architecture import Architecture
from space.cost import Cost
from space.describe import describe
from studies.records import StudentRecord, TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontRow:
    """One point of a front; accuracies are shares.

    Of a "retrained" point `validation_accuracy` is the mean over its `seeds`, None where validation samples were
    trained on; a "search" point has no test accuracy.
    `test_deviation` is the sample standard deviation, None for fewer than two seeds; `int8_accuracy` and
    `int8_deviation` are those of the quantised twins, None unless every seed has one.
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
    int8_accuracy: float | None = None
    int8_deviation: float | None = None


def front_rows(report: ReportData) -> list[FrontRow]:
    """The retrained front, then the search front, smallest first."""
    return [*map(_retrained, report.student_front), *map(_search, report.front)]


def to_csv(rows: list[FrontRow]) -> str:
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
        "int8_accuracy",
        "int8_deviation",
    ]
    table = pd.DataFrame([_flat(row) for row in rows], columns=columns)
    # a column with gaps would turn trial numbers into 17.0
    return table.astype({"trial": "Int64"}).to_csv(index=False, lineterminator="\n")


def to_json(rows: list[FrontRow]) -> str:
    """Rows as a JSON list; the architecture is an object that `space.architecture` reads back."""
    objects = [{"digest": r.architecture.digest, **asdict(r), "architecture": r.architecture.to_dict()} for r in rows]
    return json.dumps(objects, indent=2) + "\n"


def trial_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Trials as a table, one row a trial."""
    rows = [
        {
            "trial": r.number,
            "outcome": r.outcome,
            "reason": r.reason,
            "family": r.architecture.family,
            "digest": r.architecture.digest,
            **asdict(r.cost),
            "epochs": r.epochs,
            "validation_accuracy": r.accuracy,
            "validation_loss": r.loss,
            "seconds": r.seconds,
            **{f"{PREFIX}{name}": value for name, value in r.recipe.items()},
        }
        for r in records
    ]
    return pd.DataFrame(rows)


def student_frame(report: ReportData) -> pd.DataFrame:
    """Retrained students as a table, one row a student, smallest first; means over seeds, accuracies as shares.

    It stands beside `trial_frame`. `trial` is missing (NA) for a student that no trial
    of the study found, `test_deviation` for one seed.
    """
    rows = [
        {
            **_named(student.architecture),
            "trial": student.trial,
            **asdict(student.cost),
            "epochs": student.seeds[0].curve[-1].epoch,
            "seeds": len(student.seeds),
            "validation_accuracy": student.validation,
            "test_accuracy": student.test,
            "test_deviation": student.test_deviation,
            "int8_accuracy": student.int8,
            "int8_deviation": student.int8_deviation,
            "seconds": sum(seed.seconds for seed in student.seeds),
            "on_front": student in report.student_front,
        }
        for student in report.students
    ]
    columns = [
        *("digest", "family", "layers", "trial", *Cost.__dataclass_fields__, "epochs", "seeds"),
        *("validation_accuracy", "test_accuracy", "test_deviation", "int8_accuracy", "int8_deviation"),
        *("seconds", "on_front"),
    ]
    may_lack = ("validation_accuracy", "int8_accuracy", "int8_deviation")
    return pd.DataFrame(rows, columns=columns).astype({"trial": "Int64", **dict.fromkeys(may_lack, float)})


def _retrained(student: StudentRecord) -> FrontRow:
    return FrontRow(
        stage="retrained",
        trial=student.trial,
        architecture=student.architecture,
        cost=student.cost,
        epochs=student.seeds[0].curve[-1].epoch,
        validation_accuracy=student.validation,
        seeds=len(student.seeds),
        test_accuracy=student.test,
        test_deviation=statistics.stdev(student.tests) if len(student.tests) > 1 else None,
        int8_accuracy=student.int8,
        int8_deviation=student.int8_deviation,
    )


def _search(trial: TrialRecord) -> FrontRow:
    return FrontRow(
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


def _flat(row: FrontRow) -> dict[str, object]:
    return {**asdict(row), **_named(row.architecture), **asdict(row.cost)}


def _named(architecture: Architecture) -> dict[str, str]:
    return {"digest": architecture.digest, "family": architecture.family, "layers": describe(architecture)}
