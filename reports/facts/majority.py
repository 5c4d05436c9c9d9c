"""What a constant answer reaches, and students that are hardly better."""

import statistics
from dataclasses import dataclass

from kd.data.dataset import DataSet
from kd.students.scores import Scores
from reports.facts.formats import percent
from studies.records import StudentRecord, TrialRecord

NEAR = 0.1
"""How much of the way from chance to perfect a balanced accuracy is that tells a student from a constant answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Majority:
    """Shares of the largest class in the validation and the test split, and how many classes there are."""

    validation: float
    test: float
    classes: int

    @property
    def summary(self) -> str:
        """Both in a sentence."""
        return (
            f"Always answering the largest class reaches {percent(self.validation)} on validation samples and "
            f"{percent(self.test)} on test samples."
        )


def majority_of(data: DataSet) -> Majority:
    """The majority of a data set."""
    return Majority(validation=data.validation.majority, test=data.test.majority, classes=data.classes)


def mean_scores(student: StudentRecord) -> Scores | None:
    """Test scores of a student, means over its seeds; None where they were not measured."""
    seeds = [seed.test_scores for seed in student.seeds if seed.test_scores is not None]
    if not seeds:
        return None
    recalls = zip(*(scores.recalls for scores in seeds), strict=True)
    return Scores(
        accuracy=statistics.fmean(scores.accuracy for scores in seeds),
        balanced_accuracy=statistics.fmean(scores.balanced_accuracy for scores in seeds),
        macro_f1=statistics.fmean(scores.macro_f1 for scores in seeds),
        recalls=tuple(
            None if None in one else statistics.fmean(recall for recall in one if recall is not None) for one in recalls
        ),
    )


def constant_warning(found: StudentRecord | TrialRecord, majority: Majority) -> str:
    """What must be said of a student that hardly does better than a constant answer; "" of one that does."""
    balanced: float | None = None
    if isinstance(found, StudentRecord):
        scores = mean_scores(found)
        balanced = scores.balanced_accuracy if scores else None
        accuracy, share = found.test, majority.test
    else:
        balanced = found.curve[-1].balanced_accuracy if found.curve else None
        accuracy, share = found.accuracy or 0.0, majority.validation
    chance = 1 / majority.classes
    if balanced is not None and balanced < chance + NEAR * (1 - chance):
        return (
            f" It is hardly better than a constant answer: its balanced accuracy is {percent(balanced)}, that of "
            f"chance {percent(chance)}."
        )
    if balanced is None and accuracy <= share:
        return f" It is no better than a constant answer, which reaches {percent(share)}."
    return ""
