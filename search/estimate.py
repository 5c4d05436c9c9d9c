"""How long what is left will take, from the epochs still to be trained and the seconds that epochs took."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from search.session import Session
from studies.front import chosen, most_chosen, retraining_jobs
from studies.history import History
from studies.jobs import TrainingJob
from studies.records import TrialRecord
from studies.store import Store

CONCLUDED = ("complete", "pruned", "failed")
GUESS, GUESSED = 0.35, 4
"""Share of the trials that are taken to go on after a rung before any is known, and as many trials it counts as."""
LAST = 0.4
"""Part of what a trial takes that the last one is taken to be trained alone for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainingTraining:
    """One training still to be done: its epochs left, and the seconds an epoch of it takes, None if not measured."""

    epochs: float
    seconds_per_epoch: float | None


def training_seconds(trainings: Sequence[RemainingTraining], slots: int) -> float | None:
    """Seconds until the last of some trainings ends; None when no speed is known.

    They start in this order, each in the slot that is free first, and none is in more than one slot: three trainings
    take as long on eight slots as on three. One that was not measured counts as fast as the mean of those that were.
    """
    measured = [t.seconds_per_epoch for t in trainings if t.seconds_per_epoch is not None]
    if not any(training.epochs > 0 for training in trainings):
        return 0.0
    if not measured:
        return None
    mean = statistics.fmean(measured)
    ends = [0.0] * max(1, slots)
    heapify(ends)
    for training in trainings:
        speed = mean if training.seconds_per_epoch is None else training.seconds_per_epoch
        heapreplace(ends, ends[0] + training.epochs * speed)
    return max(ends)


def search_seconds(trials: Sequence[TrialRecord], wanted: int, slots: int, rungs: Sequence[float]) -> float | None:
    """Seconds until `wanted` trials are concluded, None before anything was trained.

    A trial still to come is expected to be trained from rung to rung as often as those before were, and so is one under
    way for what it lacks. The mean of the concluded ones would be too little at first, since the weak end first. The
    last trial is trained alone for a while, in one slot.
    """
    begun = [trial for trial in trials if trial.outcome in (*CONCLUDED, "unfinished")]
    concluded = sum(trial.outcome in CONCLUDED for trial in begun)
    under_way = [trial for trial in begun if trial.outcome == "unfinished"]
    to_come = max(0, wanted - len(begun))
    if wanted <= concluded and not under_way:
        return 0.0
    trained = sum(trial.epochs for trial in trials)
    if not trained:
        return None
    left = _epochs_left(begun, rungs)
    epochs = to_come * left[0] + sum(left[sum(rung <= trial.epochs for rung in rungs)] for trial in under_way)
    per_epoch = sum(trial.seconds for trial in trials) / trained
    alone = LAST * max(left[:-1]) * (1 - 1 / slots)
    return max(epochs / min(slots, to_come + len(under_way)), min(epochs, epochs / slots + alone)) * per_epoch


def _epochs_left(begun: Sequence[TrialRecord], rungs: Sequence[float]) -> list[float]:
    """Epochs that a trial is expected to be trained for once it has finished so many rungs, none to all."""
    left = [0.0]
    for index in reversed(range(len(rungs))):
        going_on = 1.0
        if index > 0:  # of those whose fate after the rung before is known
            dropped = sum(t.outcome == "pruned" and t.epochs == rungs[index - 1] for t in begun)
            went_on = sum(t.epochs >= rungs[index] for t in begun)
            going_on = (went_on + GUESS * GUESSED) / (went_on + dropped + GUESSED)
        before = rungs[index - 1] if index > 0 else 0.0
        left.insert(0, going_on * (rungs[index] - before + left[0]))
    return left


def remaining_trainings(
    store: Store, jobs: Sequence[TrainingJob], trials: Sequence[TrialRecord]
) -> list[RemainingTraining]:
    """What is left of some jobs by the ledger.

    An epoch takes as long as those of the same architecture did: trained by the same recipe, else as a trial.
    """
    found = []
    measured: dict[str, tuple[float, float]] = {}
    searched = {trial.architecture.digest: (trial.epochs, trial.seconds) for trial in reversed(trials)}
    for job in jobs:
        rungs = [rung for rung in store.ledger.rungs(job.training) if rung.failure is None]
        reached, digest = rungs[-1].epochs if rungs else 0.0, job.architecture.digest
        epochs, seconds = measured.get(digest, (0.0, 0.0))
        measured[digest] = epochs + reached, seconds + sum(rung.seconds for rung in rungs)
        found.append((digest, job.recipe.epochs - reached))
    speeds = {}
    for digest, trained in measured.items():
        epochs, seconds = trained if trained[0] else searched.get(digest, trained)
        speeds[digest] = seconds / epochs if epochs else None
    return [RemainingTraining(epochs=epochs, seconds_per_epoch=speeds[digest]) for digest, epochs in found]


class SearchEstimate:
    """How long a study that is searching will take, and when its search must end."""

    def __init__(self, session: Session, history: History) -> None:
        """Estimate for a session, from the history that it extends."""
        self._session, self._history = session, history
        self._retraining: tuple[tuple[TrialRecord, ...], float] = (), 0.0

    def retraining_seconds(self) -> float:
        """Seconds that retraining takes, by the present front; 0 if there is none, or none was measured.

        Estimated anew when the front has changed. While it has fewer points than will be retrained, those that it lacks
        count as much as those that it has.
        """
        front = self._history.front
        if self._retraining[0] is not front:
            store = self._session.store
            students = [trial.architecture for trial in chosen(front, store.config)]
            jobs = retraining_jobs(store, students, store.config.retrain.seeds)
            left = training_seconds(remaining_trainings(store, jobs, front), self._session.engine.slots)
            lacking = max(1.0, most_chosen(store.config) / max(1, len(students)))
            self._retraining = front, (left or 0.0) * lacking
        return self._retraining[1]

    def seconds_to_deadline(self) -> float:
        """Seconds that are left to search in: of the hours, less what retraining will take but at most half of them."""
        hours = self._session.store.config.search.hours
        if hours is None:
            return math.inf
        return hours * 3600 - min(self.retraining_seconds(), hours * 1800) - self._session.elapsed

    def out_of_time(self) -> bool:
        """Whether nothing more may be begun."""
        return self.seconds_to_deadline() < 0

    def seconds_left(self, trials: Sequence[TrialRecord]) -> float | None:
        """Seconds until the study will be retrained, None before a trial is concluded."""
        session = self._session
        settings = session.store.config.search
        searching = search_seconds(trials, settings.trials, session.engine.slots, settings.rungs)
        if searching is None:
            return None
        return min(searching, max(0.0, self.seconds_to_deadline())) + self.retraining_seconds()


def jobs_seconds(session: Session, jobs: Sequence[TrainingJob], trials: Sequence[TrialRecord]) -> float | None:
    """Seconds until some jobs are done, None while there is nothing to measure them by."""
    return training_seconds(remaining_trainings(session.store, jobs, trials), session.engine.slots)
