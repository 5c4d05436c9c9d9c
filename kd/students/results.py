"""`results.json`: what a retrained student's folder says of it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import Field, TypeAdapter

from kd.environment import Environment
from kd.files import from_json, to_json
from kd.students.scores import Scores
from space.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """One retraining: accuracies (shares), that on validation only where it is a measure, and seconds of training.

    The scores have, beside the accuracy, recall of every class, balanced accuracy and macro F1. `int8_test` is what the
    quantised twin reaches, after `int8_passes` of fine-tuning; None where there is none.
    """

    seed: int
    validation: Share | None
    test: Share
    seconds: float
    test_scores: Scores | None = None
    int8_test: Share | None = None
    int8_passes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentResults:
    """A retrained student: what it is, what it costs and what it reaches.

    `test_deviation` is the sample standard deviation over the seeds, None for one; `int8_mean` and `int8_deviation` are
    those of the quantised twins. `classes` are the classes' names,
    `test_majority` is the share of test samples of the largest class: what a constant answer reaches.
    """

    architecture: Mapping[str, Any]
    digest: str
    family: str
    cost: Mapping[str, int]
    seeds: tuple[SeedResult, ...]
    test_mean: float
    test_deviation: float | None
    environment: Environment
    classes: tuple[str, ...] = ()
    test_majority: Share | None = None
    int8_mean: Share | None = None
    int8_deviation: float | None = None

    @property
    def best_seed(self) -> int:
        """The seed best on validation, which is exported; the first where validation samples were trained on."""
        return best_on_validation(self.seeds).seed

    @property
    def validation_mean(self) -> float:
        """Mean validation accuracy over the seeds, 0 for those whose validation samples were trained on."""
        return statistics.fmean(result.validation or 0 for result in self.seeds)

    def to_json(self) -> str:
        """What `results.json` holds."""
        return to_json(self)

    @classmethod
    def from_json(cls, path: Path) -> "StudentResults":
        """Read `results.json`; raises InputError for one that is missing, damaged or of another format."""
        if not path.is_file():
            raise InputError(f"no results at {path}: a retraining writes them at its end, go on with it")
        return from_json(_ADAPTER, path.read_bytes(), path, "retrain the student")

    def same_figures(self, other: "StudentResults") -> bool:
        """Whether both tell the same, wherever they were measured."""
        # as JSON, which has no tuples
        return replace(self, environment=other.environment).to_json() == other.to_json()


class _Retraining(Protocol):
    @property
    def seed(self) -> int: ...

    @property
    def validation(self) -> float | None: ...


Retraining = TypeVar("Retraining", bound=_Retraining)


def best_on_validation(seeds: Sequence[Retraining]) -> Retraining:
    """Of a student's seeds the one best on validation; the first where validation samples were trained on."""
    return max(seeds, key=lambda result: (result.validation or 0, -result.seed))


_ADAPTER = TypeAdapter(StudentResults)
