"""How far confidences can be trusted: bins of confidence beside accuracy, and the temperature that mends them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

BINS = 15
"""Of equal width in confidence, over which the calibration error is taken."""

LOWEST, HIGHEST, STEPS = 0.05, 20.0, 60
"""Between which temperatures the best is searched, and in how many steps of the golden section."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Answers in bins of confidence: how many, their mean confidence and accuracy (shares; 0 in an empty bin).

    `error` is the expected calibration error (Guo et al. 2017, equation 3).
    """

    counts: tuple[int, ...]
    confidences: tuple[float, ...]
    accuracies: tuple[float, ...]

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Self:
        """That of logits (n, classes) divided by a temperature, beside labels (n,).

        >>> Reliability.of(torch.tensor([[9.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 1])).accuracies[-1]
        0.5
        """
        confidence, predicted = (logits.double() / temperature).softmax(1).max(1)
        right = (predicted == labels).double()
        bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
        counts = torch.bincount(bins, minlength=BINS)
        sums = [torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, values) for values in (confidence, right)]
        means = [(total / counts.clamp_min(1)).tolist() for total in sums]
        return cls(counts=tuple(counts.tolist()), confidences=tuple(means[0]), accuracies=tuple(means[1]))

    @property
    def error(self) -> float:
        """The expected calibration error (share)."""
        bins = zip(self.counts, self.confidences, self.accuracies, strict=True)
        return sum(n * abs(confidence - accuracy) for n, confidence, accuracy in bins) / max(1, sum(self.counts))


def fitted_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes labels (n,) likeliest under logits (n, classes) (Guo et al. 2017, section 4.2).

    The likelihood has one maximum in 1/temperature, so a golden section over its logarithm finds it.
    """
    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return float(functional.cross_entropy(logits / 2.0**log_temperature, labels))

    low, high = (float(torch.tensor(bound).log2()) for bound in (LOWEST, HIGHEST))
    ratio = (5**0.5 - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
        if high - low < 1e-3:
            break
    return float(2.0 ** ((low + high) / 2))
