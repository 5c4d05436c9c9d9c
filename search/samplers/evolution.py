"""Evolution: children of the trained trials' front, one mutation away."""

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from kd.optim.recipe import PREFIX
from space.sampling.mutation import mutate
from studies.history import History
from studies.records import TrialRecord

NEAR = 8
"""Trials nearest to the target size, of which the entrants of a tournament are drawn."""

ENTRANTS = 3
"""Trials in a tournament: fewer leave more to chance, so that the near-front has children too."""

HEREDITY = 0.8
"""Probability that a child takes over a part of its parent's recipe."""


class Evolution:
    """Every student is a mutation of a parent from the front or near it, whatever its size.

    A target is drawn evenly between the logarithms of the least and the largest number of parameters; of the complete
    trials nearest to it a few enter a tournament, which the one on the best front wins (non-dominated sorting: Deb et
    al. 2002). Trials below the accuracy floor are no parents unless all are. Without a parent, and for parameters that
    a child does not have, draws are random. The cost does not depend on the number of trials.
    """

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """The parameters of a child."""
        if not history.eligible:
            return {}
        parent, store = choose(history.eligible, generator), history.store
        child, _ = mutate(parent.params, store.config.domain, store.data.shape, store.data.classes, generator)
        recipe = [name for name in parent.params if name.startswith(PREFIX)]
        return child | {name: parent.params[name] for name in recipe if generator.random() < HEREDITY}


def choose(trials: Sequence[TrialRecord], generator: random.Random) -> TrialRecord:
    """A parent among trials, which are ordered by parameters: winner of a tournament among those of about a size."""
    least, largest = (math.log(trials[end].cost.parameters) for end in (0, -1))
    near = nearest(trials, generator.uniform(least, largest))
    entrants = generator.sample(range(len(near)), min(ENTRANTS, len(near)))
    rank = fronts([(1 - (trial.merit or 0), trial.cost.parameters) for trial in near])
    return near[min(entrants, key=lambda index: rank[index])]


def nearest(trials: Sequence[TrialRecord], target: float) -> Sequence[TrialRecord]:
    """The `NEAR` trials, of some ordered by parameters, whose logarithm of those is nearest to a target."""
    middle = bisect_left(trials, target, key=lambda trial: math.log(trial.cost.parameters))
    around = trials[max(0, middle - NEAR) : middle + NEAR]
    return sorted(around, key=lambda trial: abs(math.log(trial.cost.parameters) - target))[:NEAR]


def fronts(points: Sequence[Sequence[float]]) -> list[int]:
    """Front that each of some points (two values, both minimised) is on.

    0 for points that none dominates, 1 for those that only points of front 0 dominate, and so on (Deb et al. 2002);
    of equal points, the later ones count as dominated.
    """
    numbers = [0] * len(points)
    least: list[float] = []  # the first value, over the points of each front so far: all of them have a smaller second
    for index in sorted(range(len(points)), key=lambda i: (points[i][1], points[i][0])):
        front = numbers[index] = bisect_right(least, points[index][0])
        least[front : front + 1] = [points[index][0]]
    return numbers
