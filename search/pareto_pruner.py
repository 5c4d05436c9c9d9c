"""Pareto pruning: who goes on to the next rung."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A candidate at a rung: validation accuracy (share), validation loss (nats), parameters."""

    accuracy: float
    loss: float
    parameters: int

    def is_matched_by(self, other: "Standing") -> bool:
        """Whether another did at least as well: the loss decides where accuracies, steps of one sample, are equal."""
        return (other.accuracy, -other.loss) >= (self.accuracy, -self.loss)


def is_weak(candidate: Standing, others: Iterable[Standing], peers: int, slack: float) -> bool:
    """Whether at least `peers` others with at most `slack` times the parameters did at least as well.

    The smallest candidates have no such peers, so the small end of the front is never pruned, however low its
    accuracy; plain accuracy-only pruning deletes it.
    """
    limit = slack * candidate.parameters
    return sum(o.parameters <= limit and candidate.is_matched_by(o) for o in others) >= peers
