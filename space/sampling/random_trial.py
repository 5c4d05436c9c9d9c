"""A trial that draws at random, without a study."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from space.sampling.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution

Params = dict[str, Any]
"""Values of a draw by parameter name: what an architecture is drawn again from."""


@dataclass(slots=True)
class RandomTrial:
    """Draws parameters at random, without a study, except for those that are `fixed`.

    `params` and `distributions` hold the values so far and what they were drawn from, as those of an Optuna trial do.
    A parameter that is suggested again keeps its value.

    >>> trial = RandomTrial(random.Random(0), {"family": "cnn"})
    >>> trial.suggest_categorical("family", ("cnn", "mlp")), trial.suggest_int("kernel", 1, 9)
    ('cnn', 7)
    >>> trial.params
    {'family': 'cnn', 'kernel': 7}
    """

    generator: random.Random
    fixed: Mapping[str, Any] = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    distributions: dict[str, Distribution] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""
        value: int = self._suggest(name, IntDistribution(low, high))
        return value

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number in low..high, uniform or log-uniform."""
        value: float = self._suggest(name, FloatDistribution(low, high, log))
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices."""
        return self._suggest(name, CategoricalDistribution(tuple(choices)))

    def _suggest(self, name: str, distribution: Distribution) -> Any:
        if name not in self.params:
            self.distributions[name] = distribution
            self.params[name] = self.fixed[name] if name in self.fixed else distribution.sample(self.generator)
        return self.params[name]
