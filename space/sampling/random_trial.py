"""A trial that draws at random, without a study."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from space.sampling.distributions import Categorical, Distribution, Integer, Real

Params = dict[str, Any]
"""A draw's answers by the parameters' names: the genotype of an architecture."""


@dataclass(slots=True)
class RandomTrial:
    """Draws at random, without a study; answers that are `given` are taken instead of drawn.

    `params` and `asked` hold what was answered and asked so far.
    """

    generator: random.Random
    given: Mapping[str, Any] = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    asked: dict[str, Distribution] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""
        value: int = self._answer(name, Integer(low, high))
        return value

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number in low..high, evenly or evenly in its logarithm."""
        value: float = self._answer(name, Real(low, high, log))
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices."""
        return self._answer(name, Categorical(tuple(choices)))

    def _answer(self, name: str, question: Distribution) -> Any:
        if name not in self.params:
            self.asked[name] = question
            self.params[name] = self.given[name] if name in self.given else question.draw(self.generator)
        return self.params[name]
