import torch

from kd.data.dataset import DataSet, Split
from kd.students.scores import Scores
from reports.facts.majority import Majority, constant_warning, majority_of, mean_scores
from studies.records import SeedRecord, StudentRecord
from studies.shipped import find

LABELS = torch.tensor([0] * 97 + [1] * 3)
MAJORITY = Majority(validation=0.96, test=0.97, classes=2)


def student(*answers: torch.Tensor, measured: bool = True) -> StudentRecord:
    """A student that answered so with each of its seeds."""
    seeds = []
    for seed, answer in enumerate(answers):
        scores = Scores.of(LABELS, answer, 2)
        found = scores if measured else None
        seeds.append(
            SeedRecord(seed=seed, validation=0.9, test=scores.accuracy, seconds=1.0, curve=(), test_scores=found)
        )
    architecture = find("tied-cnn")
    return StudentRecord(
        trial=None, searched=None, architecture=architecture, cost=architecture.cost(), seeds=tuple(seeds)
    )


def test_a_constant_student_is_called_one() -> None:
    constant, right = torch.zeros(100, dtype=torch.int64), LABELS
    said = constant_warning(student(constant, constant), MAJORITY)
    assert "hardly better than a constant answer: its balanced accuracy is 50.00 %, that of chance 50.00 %" in said
    assert "no better than a constant answer, which reaches 97.00 %" in constant_warning(
        student(constant, measured=False), MAJORITY
    )
    assert constant_warning(student(right), MAJORITY) == ""
    assert constant_warning(student(right, measured=False), MAJORITY) == ""


def test_scores_are_means_over_seeds() -> None:
    scores = mean_scores(student(torch.zeros(100, dtype=torch.int64), LABELS))
    assert scores is not None
    assert (scores.balanced_accuracy, scores.recalls) == (0.75, (1.0, 0.5))
    assert mean_scores(student(LABELS, measured=False)) is None


def test_the_majority_is_the_share_of_the_largest_class(small_data: DataSet) -> None:
    found = majority_of(small_data)
    assert found.test == float(small_data.test.labels.bincount().max()) / len(small_data.test.labels)
    assert f"{100 * found.test:.2f} % on test samples" in found.summary
    assert Split(images=torch.zeros(4, 1), labels=torch.tensor([2, 2, 2, 5])).majority == 0.75
