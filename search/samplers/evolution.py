"""Evolution: children of the trained trials' front, one mutation away."""

import math
import random
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kd.optim.recipe import PREFIX
from search.pareto.nondominated import fronts
from space.architecture import Architecture
from space.sampling.mutation import mutations
from space.sampling.random_trial import Params
from studies.history import History
from studies.records import TrialRecord
from studies.store import Store

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

    informed = False

    def propose(self, history: History, generator: random.Random) -> Mapping[str, Any]:
        """The parameters of a child."""
        if not history.eligible:
            return {}
        params, _ = next(children(choose(history.eligible, generator).params, history.store, generator))
        return params


def children(
    parent: Mapping[str, Any], store: Store, generator: random.Random, kept: Collection[str] = ()
) -> Iterator[tuple[Params, Architecture]]:
    """Mutations of a student with the parameters `parent`, with what they inherit of its recipe, and their networks.

    Parameters named in `kept` do not change.
    """
    config, data = store.config, store.data
    recipe = sorted(name for name in parent if name.startswith(PREFIX))  # in one order, wherever they were read
    for params, architecture in mutations(parent, config.domain, data.shape, data.classes, generator, kept):
        yield params | {name: parent[name] for name in recipe if generator.random() < HEREDITY}, architecture


def choose(trials: Sequence[TrialRecord], generator: random.Random) -> TrialRecord:
    """A parent among trials, which are ordered by parameters: winner of a tournament among those of about a size."""
    least, largest = (math.log(trials[end].cost.parameters) for end in (0, -1))
    return choose_near(trials, generator.uniform(least, largest), generator)


def choose_near(trials: Sequence[TrialRecord], target: float, generator: random.Random) -> TrialRecord:
    """A parent among trials, ordered by parameters, whose logarithm of those is near a target."""
    near = nearest(trials, target)
    entrants = generator.sample(range(len(near)), min(ENTRANTS, len(near)))
    rank = fronts([(1 - (trial.merit or 0), *trial.sizes) for trial in near])
    return near[min(entrants, key=lambda index: rank[index])]


def nearest(trials: Sequence[TrialRecord], target: float) -> Sequence[TrialRecord]:
    """The `NEAR` trials, of some ordered by parameters, whose logarithm of those is nearest to a target."""
    middle = bisect_left(trials, target, key=lambda trial: math.log(trial.cost.parameters))
    around = trials[max(0, middle - NEAR) : middle + NEAR]
    return sorted(around, key=lambda trial: abs(math.log(trial.cost.parameters) - target))[:NEAR]
