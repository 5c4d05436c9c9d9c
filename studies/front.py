"""Pareto fronts of trials and of retrained students, and what of a front is still to be retrained."""

import math
from collections.abc import Sequence
from typing import TypeVar

from kd.students.file import is_student
from space.architecture import Architecture
from studies.configuration.config import Config
from studies.jobs import TrainingJob
from studies.records import StudentRecord, TrialRecord
from studies.store import Store


def front(records: Sequence[TrialRecord], floor: float) -> list[TrialRecord]:
    """The Pareto set of complete trials over merit (up) and the study's costs (down), smallest first.

    Trials below the `floor` (share) are left out, unless all are.
    """
    complete = [r for r in records if r.outcome == "complete" and r.merit is not None]
    complete = [r for r in complete if (r.merit or 0) >= floor] or complete
    return _undominated(sorted(complete, key=lambda r: (r.sizes, -(r.merit or 0), r.number)))


def student_front(students: Sequence[StudentRecord]) -> list[StudentRecord]:
    """The Pareto set of retrained students over merit (up) and costs (down); those without merit are left out."""
    known = [student for student in students if student.merit is not None]
    return _undominated(sorted(known, key=lambda s: (s.sizes, -(s.merit or 0))))


Record = TypeVar("Record", TrialRecord, StudentRecord)


def _undominated(ordered: Sequence[Record]) -> list[Record]:
    """Those of some records that none before them, in the order of sizes, is as small as and as good as."""
    kept: list[Record] = []
    for record in ordered:
        if not any(
            (other.merit or 0) >= (record.merit or 0)
            and all(mine <= its for mine, its in zip(other.sizes, record.sizes, strict=True))
            for other in kept
        ):
            kept.append(record)
    return kept


def spread(points: Sequence[TrialRecord], count: int) -> list[TrialRecord]:
    """At most `count` points of a front, its ends and those between spread best over log size; 0 means all."""
    if count == 0 or len(points) <= count:
        return list(points)
    if count == 1:
        return [points[-1]]
    logs = [math.log(point.sizes[0]) for point in points]
    left, chosen = set(range(len(points))), []
    for step in range(count - 1, -1, -1):
        target = logs[0] + (logs[-1] - logs[0]) * step / (count - 1)
        nearest = min(left, key=lambda index: (abs(logs[index] - target), -index))
        left.remove(nearest)
        chosen.append(nearest)
    return [points[index] for index in sorted(chosen)]


def chosen(trials: Sequence[TrialRecord], config: Config) -> list[TrialRecord]:
    """Trials of the search front that a study retrains: of each size that it searches at, the best."""
    points = front(trials, config.search.floor)
    if sizes := config.domain.sizes:
        points = best_within(points, sizes)
    return spread(points, config.retrain.points)


def most_chosen(config: Config) -> int:
    """How many students a study retrains at most; 0 where that is open."""
    limits = [count for count in (config.retrain.points, len(config.domain.sizes)) if count]
    return min(limits, default=0)


def best_within(points: Sequence[TrialRecord], sizes: Sequence[int]) -> list[TrialRecord]:
    """Of points of a front, for each of some rising sizes the best that has at most so many parameters."""
    best: dict[int, TrialRecord] = {}
    for size in sizes:
        within = [point for point in points if point.cost.parameters <= size]
        if within:
            point = max(within, key=lambda point: (point.merit or 0, -point.cost.parameters))
            best[point.number] = point
    return list(best.values())


def retraining_jobs(store: Store, architectures: Sequence[Architecture], seeds: int) -> list[TrainingJob]:
    """Retrainings with seeds 0..seeds-1 that are not finished, the most expensive first; twins come last."""
    ordered = sorted(architectures, key=lambda architecture: -architecture.cost().macs)
    make = [store.retraining_job, *([store.twin_job] if store.config.retrain.ablation else [])]
    jobs = [job(architecture, seed) for job in make for architecture in ordered for seed in range(seeds)]
    jobs = list({job.training: job for job in jobs}.values())
    return [job for job in jobs if not is_student(job.weights) or store.ledger.test_accuracy(job.training) is None]


def are_retrained(architectures: Sequence[Architecture], seeds: int, students: Sequence[StudentRecord]) -> bool:
    """Whether every architecture was retrained with seeds 0..seeds-1."""
    finished = {(student.architecture.digest, record.seed) for student in students for record in student.seeds}
    return all((architecture.digest, seed) in finished for architecture in architectures for seed in range(seeds))


def is_searched(trials: Sequence[TrialRecord], config: Config) -> bool:
    """Whether the study has its number of trials, all of them concluded."""
    begun = [trial for trial in trials if trial.outcome not in ("rejected", "duplicate")]
    return len(begun) >= config.search.trials and all(trial.outcome != "unfinished" for trial in trials)


def is_done(trials: Sequence[TrialRecord], students: Sequence[StudentRecord], config: Config) -> bool:
    """Whether search and retraining are over."""
    points = [trial.architecture for trial in chosen(trials, config)]
    digests = {architecture.digest for architecture in points}
    wanted = config.retrain.seeds if config.retrain.ablation else 0
    compared = all(len(s.twin) >= wanted for s in students if s.architecture.digest in digests)
    return is_searched(trials, config) and are_retrained(points, config.retrain.seeds, students) and compared
