"""What a study compares students by, in words, and a student's test score by it."""

import math
import statistics
from dataclasses import dataclass

from kd.students.scores import Metric
from studies.records import StudentRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanScore:
    """A mean over seeds with its sample standard deviation (not a number for one seed), shares."""

    mean: float
    deviation: float
    seeds: int


def metric_in_words(metric: Metric) -> str:
    """The metric as prose has it."""
    return {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}[metric]


def test_score(student: StudentRecord, metric: Metric) -> MeanScore:
    """A student's score on the test set; its accuracy where the others were not measured."""
    scores = [seed.test_scores.value(metric) for seed in student.seeds if seed.test_scores is not None]
    if len(scores) < len(student.seeds):
        scores = [seed.test for seed in student.seeds]
    deviation = statistics.stdev(scores) if len(scores) > 1 else math.nan
    return MeanScore(mean=statistics.fmean(scores), deviation=deviation, seeds=len(scores))
