"""What happened, as typed records: trials, retrained students, the front."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import optuna
import pandas as pd

from kd.optim.recipe import PREFIX, drawn
from kd.students.curve import Epoch
from kd.students.scores import Scores
from space.architecture import Architecture, from_json, read
from space.cost import Cost
from space.errors import InputError
from studies.store import Store

Outcome = Literal["rejected", "duplicate", "pruned", "complete", "failed", "unfinished"]
OUTCOMES: tuple[Outcome, ...] = ("complete", "pruned", "duplicate", "rejected", "failed", "unfinished")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial.

    `accuracy` and `loss` (nats) are on the validation split after `epochs`; None if never trained. `recipe` is what was
    drawn of it.
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
    recipe: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None

    @property
    def merit(self) -> float | None:
        """What candidates are compared by: the study's metric after `epochs`."""
        return self.accuracy if self.score is None else self.score

    @property
    def trained(self) -> bool:
        """Whether a weight of it was trained."""
        return self.epochs > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRecord:
    """One finished retraining: accuracies (shares) and the learning curve.

    `validation` is None where validation samples were trained on; the curve's figures of them then are no measure.
    """

    seed: int
    validation: float | None
    test: float
    seconds: float
    curve: tuple[Epoch, ...]
    test_scores: Scores | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentRecord:
    """A retrained student with at least one finished seed; `searched` is the merit of its trial."""

    trial: int | None
    searched: float | None
    architecture: Architecture
    cost: Cost
    seeds: tuple[SeedRecord, ...]

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
    def test(self) -> float:
        """Mean test accuracy over the seeds."""
        return statistics.fmean(seed.test for seed in self.seeds)

    @property
    def test_deviation(self) -> float:
        """Sample standard deviation of the test accuracy over the seeds; not a number for one seed."""
        return statistics.stdev(seed.test for seed in self.seeds) if len(self.seeds) > 1 else math.nan


def trial_records(store: Store) -> list[TrialRecord]:
    """All trials with a complete suggestion, by number."""
    trials = (t for t in store.study.get_trials(deepcopy=False) if "architecture" in t.user_attrs)
    return [_trial_record(store, trial) for trial in trials]


def student_records(store: Store) -> list[StudentRecord]:
    """Retrained students, smallest first: every folder under `students/` with a finished seed.

    One whose `architecture.json` is damaged is left out until it is retrained.
    """
    trials = {record.architecture.digest: record for record in reversed(trial_records(store))}
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
            trial = trials.get(architecture.digest)
            students.append(
                StudentRecord(
                    trial=trial.number if trial else None,
                    searched=trial.merit if trial else None,
                    architecture=architecture,
                    cost=architecture.cost(),
                    seeds=tuple(sorted(seeds, key=lambda s: s.seed)),
                )
            )
    return sorted(students, key=lambda s: (s.cost.parameters, s.architecture.digest))


def seed_record(store: Store, digest: str, seed: int) -> SeedRecord | None:
    """One retraining from the ledger, None until its test accuracy is there."""
    training = store.training(digest, seed)
    test = store.ledger.test_accuracy(training)
    if test is None:
        return None
    rungs = store.ledger.rungs(training)
    curve = tuple(epoch for rung in rungs for epoch in rung.curve)
    seconds = sum(rung.seconds for rung in rungs)
    measured, metric = not store.config.retrain.with_validation, store.config.retrain.metric
    return SeedRecord(
        seed=seed,
        validation=curve[-1].validation_accuracy if measured else None,
        test=test,
        seconds=seconds,
        curve=curve,
        test_scores=store.ledger.test_scores(training),
        score=curve[-1].score(metric or store.config.search.metric) if measured else None,
    )


def frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
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


def _trial_record(store: Store, trial: optuna.trial.FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    architecture = from_json(attributes["architecture"])
    outcome: Outcome = attributes.get("outcome", "unfinished")
    trained = outcome not in ("rejected", "duplicate")
    limit = attributes.get("epochs", max(store.config.search.rungs))
    rungs = store.ledger.rungs(store.training(architecture.digest)) if trained else []
    rungs = [rung for rung in rungs if rung.epochs <= limit]
    curve = tuple(epoch for rung in rungs for epoch in rung.curve)
    return TrialRecord(
        number=trial.number,
        outcome=outcome,
        reason=attributes.get("reason", ""),
        architecture=architecture,
        cost=architecture.cost(),
        epochs=curve[-1].epoch if curve else 0,
        accuracy=curve[-1].validation_accuracy if curve else None,
        loss=curve[-1].validation_loss if curve else None,
        seconds=sum(rung.seconds for rung in rungs),
        curve=curve,
        recipe=drawn(trial.params),
        score=curve[-1].score(store.config.search.metric) if curve else None,
    )
