"""Pareto pruning: which candidates are too weak to go on to the next rung."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a trial (`number`) stands at a rung: the metric (share) and the loss (nats) on validation, parameters."""

    number: int
    accuracy: float
    loss: float
    parameters: int


class Standings:
    """How all trials stand at one rung, as columns, so that a comparison with thousands takes microseconds."""

    def __init__(self) -> None:
        """Make it without a trial."""
        self._rows: dict[int, int] = {}
        self._columns = np.empty((4, 64))

    def enter(self, standing: Standing) -> None:
        """Put a trial in, or in its place if it is there already."""
        row = self._rows.setdefault(standing.number, len(self._rows))
        if row == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.empty_like(self._columns)], axis=1)
        self._columns[:, row] = standing.number, standing.accuracy, standing.loss, standing.parameters

    def is_weak(self, number: int, peers: int, slack: float) -> bool:
        """Whether another dominates a trial, and at least `peers` others of about its size did at least as well.

        About its size means at most `slack` times its parameters. Sizes within a few percent are as good as equal, yet
        a candidate that none dominates is on the front of its rung and never weak, whatever `peers` and `slack` are:
        thus the small end of the front lives, however low its accuracy. Plain accuracy-only pruning deletes it.

        Accuracies are steps of one sample, so the loss decides where they are equal. Of two that are equal in size too,
        the earlier one counts as better: otherwise each would be a reason to prune the other.
        """
        numbers, accuracies, losses, parameters = self._columns[:, : len(self._rows)]
        _, accuracy, loss, size = self._columns[:, self._rows[number]]
        equal = (accuracies == accuracy) & (losses == loss)
        better = (accuracies > accuracy) | ((accuracies == accuracy) & (losses < loss))
        matching = better | (equal & ((parameters != size) | (numbers < number)))
        near = matching & (parameters <= slack * size)
        return bool(near.sum() >= peers and (near & (parameters <= size)).any())
