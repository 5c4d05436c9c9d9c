"""What a student costs, in the units that a device counts: by which of them the trials are to be compared."""

from collections.abc import Mapping, Sequence

from space.cost import Cost
from studies.records import TrialRecord

PRICES: Mapping[str, str] = {
    "parameters": "parameters",
    "macs": "multiply-accumulates of one sample",
    "memory_bytes": "peak memory of activations [B]",
    "int8_bytes": "size of the weights in int8 [B]",
}
"""Costs that figures can be drawn over, and the titles of their axes."""

SHORT: Mapping[str, str] = {
    "parameters": "parameters",
    "macs": "MACs",
    "memory_bytes": "memory",
    "int8_bytes": "int8 size",
}
"""What the switch calls them."""


def price(cost: Cost, name: str) -> int:
    """One cost of a student by its name."""
    return int(getattr(cost, name))


def front_over(trials: Sequence[TrialRecord], name: str, floor: float) -> list[TrialRecord]:
    """The Pareto set of complete trials over merit (up) and any cost (down), as `studies.front.front` has it."""
    complete = [trial for trial in trials if trial.outcome == "complete" and trial.merit is not None]
    complete = [trial for trial in complete if (trial.merit or 0) >= floor] or complete
    ordered = sorted(complete, key=lambda trial: (price(trial.cost, name), -(trial.merit or 0), trial.number))
    best, kept = -1.0, []
    for trial in ordered:
        if (trial.merit or 0) > best:
            best = trial.merit or 0
            kept.append(trial)
    return kept
