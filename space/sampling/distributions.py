"""Distributions of the parameters of a draw, named as in Optuna; each can also mutate a value."""

import math
import random
from dataclasses import dataclass
from typing import Any

MUTATION_STD = 0.1
"""Standard deviation of a mutation of a float, as a share of its range."""


@dataclass(frozen=True, slots=True)
class CategoricalDistribution:
    """One of some choices, each as likely."""

    choices: tuple[Any, ...]

    def __str__(self) -> str:
        """What a value must be, for messages."""
        return f"one of {', '.join(map(str, self.choices))}"

    def single(self) -> bool:
        """Whether there is only one value."""
        return len(self.choices) == 1

    def contains(self, value: Any) -> bool:
        """Whether the value is one of the choices."""
        return value in self.choices

    def sample(self, generator: random.Random) -> Any:
        """Draw a choice."""
        return generator.choice(self.choices)

    def mutate(self, value: Any, generator: random.Random) -> Any:
        """Draw another choice."""
        return generator.choice([choice for choice in self.choices if choice != value])


@dataclass(frozen=True, slots=True)
class IntDistribution:
    """A whole number in low..high, each as likely."""

    low: int
    high: int

    def __str__(self) -> str:
        """What a value must be, for messages."""
        return f"a whole number in {self.low}..{self.high}"

    def single(self) -> bool:
        """Whether there is only one value."""
        return self.low == self.high

    def contains(self, value: Any) -> bool:
        """Whether the value is a whole number in low..high."""
        return isinstance(value, int) and self.low <= value <= self.high

    def sample(self, generator: random.Random) -> int:
        """Draw a number."""
        return generator.randint(self.low, self.high)

    def mutate(self, value: int, generator: random.Random) -> int:
        """Draw one less or one more."""
        return generator.choice([other for other in (value - 1, value + 1) if self.low <= other <= self.high])


@dataclass(frozen=True, slots=True)
class FloatDistribution:
    """A number in low..high, uniform, or uniform in its logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        """What a value must be, for messages."""
        return f"a number in {self.low:g}..{self.high:g}"

    def single(self) -> bool:
        """Whether there is only one value."""
        return self.low == self.high

    def contains(self, value: Any) -> bool:
        """Whether the value is a number in low..high."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def sample(self, generator: random.Random) -> float:
        """Draw a number."""
        return self._value(generator.random())

    def mutate(self, value: float, generator: random.Random) -> float:
        """Add normal noise of `MUTATION_STD` of the range, on the distribution's scale, and clip to low..high."""
        return self._value(self._share(value) + generator.gauss(0, MUTATION_STD))

    def _share(self, value: float) -> float:
        """Where in the range a value lies: 0 is low, 1 is high."""
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def _value(self, share: float) -> float:
        """The value at a share of the range, which is clipped to 0..1."""
        if share <= 0 or share >= 1:
            return self.low if share <= 0 else self.high
        value = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return min(max(value, self.low), self.high)  # rounding may lead out


Distribution = CategoricalDistribution | IntDistribution | FloatDistribution
