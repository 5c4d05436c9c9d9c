"""Evolution: children of the trained trials' front, one mutation away."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from kd.optim.recipe import PREFIX
from space.sampling.domain import Domain, suggest
from space.sampling.mutation import mutate

NEAR = 8
"""Trials nearest to the target size, of which the entrants of a tournament are drawn."""

ENTRANTS = 3
"""Trials in a tournament: fewer leave more to chance, so that the near-front has children too."""

HEREDITY = 0.8
"""Probability that a child takes over a part of its parent's recipe."""


class EvolutionSampler(BaseSampler):
    """Every joint draw is a mutation of a parent from the front or near it, whatever its size.

    A target is drawn evenly between the least and the largest of the second objective; of the complete trials nearest
    to it a few enter a tournament, which the one on the best front wins (non-dominated sorting: Deb et al. 2002).
    Trials that break a constraint are no parents unless all do. Without a parent, and for parameters that a
    child does not have, draws are random.
    """

    def __init__(self, seed: int, domain: Domain, shape: tuple[int, ...], classes: int) -> None:
        """Make a sampler for studies that minimise both objectives and draw from `domain`."""
        self._generator, self._random = random.Random(seed), RandomSampler(seed=seed)
        self._space = domain, shape, classes
        self._child: dict[str, Any] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Choose a parent, mutate it, and return the distributions of the child's parameters."""
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        parents = [t for t in complete if all(violation <= 0 for violation in t.constraints.values())] or complete
        if not parents:
            return {}
        parent = choose(parents, self._generator)
        self._child, _ = mutate(parent.params, *self._space, self._generator)
        child = FixedTrial(self._child)
        suggest(child, *self._space)
        recipe = [name for name in parent.params if name.startswith(PREFIX)]
        kept = [name for name in recipe if self._generator.random() < HEREDITY]
        self._child |= {name: parent.params[name] for name in kept}
        return child.distributions | {name: parent.distributions[name] for name in kept}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The child's parameters; called right after `infer_relative_search_space`."""
        return {name: self._child[name] for name in search_space}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def choose(trials: Sequence[FrozenTrial], generator: random.Random) -> FrozenTrial:
    """A parent: winner of a tournament among trials near a random value of the second objective."""
    values = [tuple(trial.values) for trial in trials]
    second = [value[1] for value in values]
    target = generator.uniform(min(second), max(second))
    near = sorted(range(len(trials)), key=lambda index: abs(second[index] - target))[:NEAR]
    entrants = generator.sample(near, min(ENTRANTS, len(near)))
    rank = fronts(values)
    return trials[min(entrants, key=lambda index: rank[index])]


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
