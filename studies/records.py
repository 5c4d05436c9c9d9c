"""What happened, as typed records: trials, retrained students, the front."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kd.deploy.int8_file import Int8Scores, int8_scores
from kd.deploy.places import int8_path
from kd.optim.recipe import drawn
from kd.students.curve import Epoch
from kd.students.results import best_on_validation
from kd.students.scores import Metric, Scores
from space.architecture import Architecture, from_json, read
from space.cost import Cost
from space.errors import InputError
from studies.configuration.config import CostName
from studies.storage.ledger import Rung, Training
from studies.storage.trial_table import TrialRow
from studies.store import Store

Outcome = Literal["rejected", "duplicate", "pruned", "complete", "failed", "unfinished"]
OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "duplicate", "rejected", "failed", "unfinished")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial.

    `accuracy` and `loss` (nats) are on the validation split after `epochs`; None if never trained. `params` is what was
    drawn, the architecture's parameters and those of the recipe. `rungs` are those of its training that are its own.
    `latency_ms` was measured before training where the study minimises it.
    """

    number: int
    outcome: Outcome
    reason: str
    architecture: Architecture
    cost: Cost
    epochs: float
    accuracy: float | None
    loss: float | None
    seconds: float
    curve: tuple[Epoch, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    metric: Metric = "accuracy"
    objectives: tuple[CostName, ...] = ("parameters",)
    latency_ms: float | None = None

    @property
    def sizes(self) -> tuple[float, ...]:
        """The costs that the study minimises."""
        return sizes(self.cost, self.objectives, self.latency_ms)

    rungs: tuple[Rung, ...] = ()

    @property
    def merit(self) -> float | None:
        """What candidates are compared by: the study's `metric` on the validation split after `epochs`."""
        return self.accuracy if self.metric == "accuracy" or not self.curve else self.curve[-1].score(self.metric)

    @property
    def trained(self) -> bool:
        """Whether a weight of it was trained."""
        return self.epochs > 0

    @property
    def recipe(self) -> dict[str, Any]:
        """What was drawn of the recipe."""
        return drawn(self.params)

    def after(self, rungs: Sequence[Rung], limit: float) -> "TrialRecord":
        """The record once some rungs of its training are known, of which those to `limit` epochs count as its own."""
        own = [rung for rung in rungs if rung.epochs <= limit]
        curve = tuple(epoch for rung in own for epoch in rung.curve)
        return replace(
            self,
            epochs=curve[-1].epoch if curve else 0,
            accuracy=curve[-1].validation_accuracy if curve else None,
            loss=curve[-1].validation_loss if curve else None,
            seconds=sum(rung.seconds for rung in own),
            curve=curve,
            rungs=tuple(own),
        )

    def at(self, epochs: float) -> float | None:
        """The merit that it had after so many epochs, None where it was not evaluated then."""
        found = next((point for point in self.curve if point.epoch == epochs), None)
        return found.score(self.metric) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRecord:
    """One finished retraining: accuracies (shares) and the learning curve.

    `validation` is None where validation samples were trained on; the curve's figures of them then are no measure.
    `int8` is what its quantised twin reaches, None while there is none.
    """

    seed: int
    validation: float | None
    test: float
    seconds: float
    curve: tuple[Epoch, ...]
    test_scores: Scores | None = None
    score: float | None = None
    int8: Int8Scores | None = None
    rungs: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentRecord:
    """A retrained student with at least one finished seed; `searched` is the merit of its trial.

    `twin` are retrainings of the same architecture on labels alone, if the study asks for them; a student whose recipe
    has no teacher is its own.
    """

    trial: int | None
    searched: float | None
    architecture: Architecture
    cost: Cost
    seeds: tuple[SeedRecord, ...]
    objectives: tuple[CostName, ...] = ("parameters",)
    twin: tuple[SeedRecord, ...] = ()
    latency_ms: float | None = None

    @property
    def sizes(self) -> tuple[float, ...]:
        """The costs that the study minimises."""
        return sizes(self.cost, self.objectives, self.latency_ms)

    @property
    def exported(self) -> SeedRecord:
        """The seed that is exported: the best on validation, the first where validation samples were trained on."""
        return best_on_validation(self.seeds)

    @property
    def validation(self) -> float | None:
        """Mean validation accuracy over the seeds, None where validation samples were trained on."""
        shares = [seed.validation for seed in self.seeds if seed.validation is not None]
        return statistics.fmean(shares) if shares else None

    @property
    def merit(self) -> float | None:
        """What choices between students go by: the study's metric on validation, after retraining if it is known."""
        scores = [seed.validation if seed.score is None else seed.score for seed in self.seeds]
        known = [score for score in scores if score is not None]
        return statistics.fmean(known) if known else self.searched

    @property
    def tests(self) -> tuple[float, ...]:
        """Test accuracies, one a seed."""
        return tuple(seed.test for seed in self.seeds)

    @property
    def test(self) -> float:
        """Their mean."""
        return statistics.fmean(self.tests)

    @property
    def test_deviation(self) -> float:
        """Their sample standard deviation; not a number for one seed."""
        return statistics.stdev(self.tests) if len(self.tests) > 1 else math.nan

    @property
    def int8_tests(self) -> tuple[float, ...]:
        """Test accuracies of the quantised twins, none unless every seed has one."""
        found = tuple(seed.int8.test.accuracy for seed in self.seeds if seed.int8 is not None)
        return found if len(found) == len(self.seeds) else ()

    @property
    def int8(self) -> float | None:
        """Mean test accuracy of the quantised twins, None unless every seed has one."""
        return statistics.fmean(self.int8_tests) if self.int8_tests else None

    @property
    def int8_deviation(self) -> float | None:
        """Their sample standard deviation, None for fewer than two."""
        return statistics.stdev(self.int8_tests) if len(self.int8_tests) > 1 else None


def sizes(cost: Cost, objectives: Sequence[CostName], latency_ms: float | None = None) -> tuple[float, ...]:
    """Some costs, in the order asked for; a latency that was not measured is infinite."""
    slow = math.inf if latency_ms is None else latency_ms
    return tuple(slow if name == "latency_ms" else float(getattr(cost, name)) for name in objectives)


def trial_records(store: Store) -> list[TrialRecord]:
    """All trials with a complete suggestion, by number."""
    rows = [row for row in store.trials.rows() if "architecture" in row.attributes]
    rungs = store.ledger.rungs_by_training(store.views.folder.name, store.config.search.seed)
    return [trial_record(store, row, rungs) for row in rows]


def student_records(store: Store, trials: Sequence[TrialRecord] | None = None) -> list[StudentRecord]:
    """Retrained students, smallest first: every folder under `students/` with a finished seed.

    One whose `architecture.json` is damaged is left out until it is retrained. The `trials` of the study are read
    unless they are given.
    """
    searched = trial_records(store) if trials is None else trials
    first = {record.architecture.digest: record for record in reversed(searched)}
    students = []
    for folder in store.directory.student_folders:
        try:
            architecture = read(folder / "architecture.json")
        except InputError:
            continue
        seeds = tuple(
            record
            for seed in store.directory.seeds(architecture.digest)
            if (record := seed_record(store, architecture.digest, seed))
        )
        if seeds:
            trial = first.get(architecture.digest)
            students.append(
                StudentRecord(
                    trial=trial.number if trial else None,
                    searched=trial.merit if trial else None,
                    architecture=architecture,
                    cost=architecture.cost(),
                    seeds=tuple(sorted(seeds, key=lambda s: s.seed)),
                    objectives=store.config.search.objectives,
                    twin=_twin(store, architecture, [seed.seed for seed in seeds]),
                    latency_ms=trial.latency_ms if trial else None,
                )
            )
    return sorted(students, key=lambda s: (s.cost.parameters, s.architecture.digest))


def seed_record(store: Store, digest: str, seed: int) -> SeedRecord | None:
    """One retraining from the ledger, None until its test accuracy is there."""
    path = int8_path(store.directory.student(digest) / f"seed-{seed}.safetensors")
    return _seed_record(store, store.training(digest, seed), int8_scores(path))


def _twin(store: Store, architecture: Architecture, seeds: Sequence[int]) -> tuple[SeedRecord, ...]:
    """The retrainings on labels alone that there are."""
    if not store.config.retrain.ablation:
        return ()
    found = (_seed_record(store, store.twin_job(architecture, seed).training) for seed in seeds)
    return tuple(record for record in found if record is not None)


def _seed_record(store: Store, training: Training, int8: Int8Scores | None = None) -> SeedRecord | None:
    test = store.ledger.test_accuracy(training)
    if test is None:
        return None
    rungs = store.ledger.rungs(training)
    curve = tuple(epoch for rung in rungs for epoch in rung.curve)
    seconds = sum(rung.seconds for rung in rungs)
    measured, metric = not store.config.retrain.with_validation, store.config.retrain.metric
    if metric == "int8_accuracy":
        score = None if int8 is None else int8.validation
    else:
        score = curve[-1].score(metric or store.config.search.metric)
    return SeedRecord(
        seed=training.seed,
        validation=curve[-1].validation_accuracy if measured else None,
        test=test,
        seconds=seconds,
        curve=curve,
        test_scores=store.ledger.test_scores(training),
        score=score if measured else None,
        int8=int8,
        rungs=tuple(rungs),
    )


def trial_record(store: Store, row: TrialRow, rungs: Mapping[Training, Sequence[Rung]]) -> TrialRecord:
    """A trial from its row and the rungs of all training runs."""
    attributes = row.attributes
    architecture = from_json(attributes["architecture"])
    record = TrialRecord(
        number=row.number,
        outcome=attributes.get("outcome", "unfinished"),
        reason=attributes.get("reason", ""),
        architecture=architecture,
        cost=architecture.cost(),
        epochs=0,
        accuracy=None,
        loss=None,
        seconds=0,
        curve=(),
        params=row.params,
        metric=store.config.search.metric,
        objectives=store.config.search.objectives,
        latency_ms=attributes.get("latency_ms"),
    )
    if record.outcome in ("rejected", "duplicate"):
        return record
    limit = attributes.get("epochs", max(store.config.search.rungs))
    return record.after(rungs.get(store.training(architecture.digest, params=row.params), ()), limit)
