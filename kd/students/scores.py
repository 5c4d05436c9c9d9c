"""How good answers are: accuracy, and what shows a class that is never answered."""

import math
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of a student on a split, all shares.

    `recalls` are the shares of each class's samples that are answered right, None for a class without samples;
    `balanced_accuracy` is their mean; `macro_f1` is the mean over classes of F1, the harmonic mean of precision and
    recall, over the classes that are there or answered.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    recalls: tuple[float | None, ...]

    @classmethod
    def of(cls, labels: Tensor, answers: Tensor, classes: int) -> Self:
        """Scores of answered classes, int64 (n,), against labels, int64 (n,)."""
        pairs = torch.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes).double()
        right, there, answered = pairs.diagonal(), pairs.sum(1), pairs.sum(0)
        recalls = (right / there).tolist()
        f1 = (2 * right / (there + answered))[there + answered > 0]
        known = [recall for recall in recalls if not math.isnan(recall)]
        return cls(
            accuracy=float(right.sum() / len(labels)),
            balanced_accuracy=sum(known) / len(known),
            macro_f1=float(f1.mean()),
            recalls=tuple(None if math.isnan(recall) else recall for recall in recalls),
        )

    def value(self, metric: Metric) -> float:
        """The score of this name."""
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
        }[metric]
