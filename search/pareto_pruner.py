"""Pareto pruning: which candidates are too weak to go on to the next rung."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a trial (`number`) stands at a rung: the metric (share) and the loss (nats) on validation, parameters."""

    number: int
    accuracy: float
    loss: float
    parameters: int

    def is_matched_by(self, other: "Standing") -> bool:
        """Whether another did at least as well.

        Accuracies are steps of one sample, so the loss decides where they are equal. Of two that are equal in size too,
        the earlier one counts as better: otherwise each would be a reason to prune the other.
        """
        mine, others = (self.accuracy, -self.loss), (other.accuracy, -other.loss)
        if mine == others and self.parameters == other.parameters:
            return other.number < self.number
        return others >= mine

    def is_dominated_by(self, other: "Standing") -> bool:
        """Whether another is no larger and did at least as well."""
        return other.parameters <= self.parameters and self.is_matched_by(other)


def is_weak(candidate: Standing, others: Iterable[Standing], peers: int, slack: float) -> bool:
    """Whether another dominates a candidate, and at least `peers` others of about its size did at least as well.

    About its size means at most `slack` times its parameters. Sizes within a few percent are as good as equal, yet a
    candidate that none dominates is on the front of its rung and never weak, whatever `peers` and `slack` are: thus
    the small end of the front lives, however low its accuracy. Plain accuracy-only pruning deletes it.
    """
    limit = slack * candidate.parameters
    matching = [o for o in others if o.parameters <= limit and candidate.is_matched_by(o)]
    return len(matching) >= peers and any(candidate.is_dominated_by(o) for o in matching)
