"""Pareto pruning: who goes on to the next rung."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A candidate at a rung: validation accuracy (share) and parameters."""

    accuracy: float
    parameters: int


def is_weak(candidate: Standing, others: Iterable[Standing], peers: int, slack: float) -> bool:
    """Whether at least `peers` others with at most `slack` times the parameters did at least as well.

    The smallest candidates have no such peers, so the small end of the front is never pruned, however low its
    accuracy; plain accuracy-only pruning deletes it.
    """
    limit = slack * candidate.parameters
    return sum(o.parameters <= limit and o.accuracy >= candidate.accuracy for o in others) >= peers
