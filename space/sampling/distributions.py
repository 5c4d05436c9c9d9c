"""What a draw is asked: one question a parameter, with its possible answers."""

import math
import random
from dataclasses import dataclass
from typing import Any

STEP = 0.1
"""A step of a real number, as a share of its range."""


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of some choices."""

    choices: tuple[Any, ...]

    def __str__(self) -> str:
        """What it may be, for messages."""
        return f"one of {', '.join(map(str, self.choices))}"

    def draw(self, generator: random.Random) -> Any:
        """Every choice is as likely."""
        return generator.choice(self.choices)

    def contains(self, answer: Any) -> bool:
        """Whether it is one of the choices."""
        return answer in self.choices

    def others(self, answer: Any) -> list[Any]:
        """Every other choice."""
        return [choice for choice in self.choices if choice != answer]

    def step(self, answer: Any, generator: random.Random) -> Any:
        """Another choice, any as likely."""
        return generator.choice(self.others(answer))


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in low..high."""

    low: int
    high: int

    def __str__(self) -> str:
        """What it may be, for messages."""
        return f"a whole number in {self.low}..{self.high}"

    def draw(self, generator: random.Random) -> int:
        """Evenly."""
        return generator.randint(self.low, self.high)

    def contains(self, answer: Any) -> bool:
        """Whether it is a whole number in low..high."""
        return isinstance(answer, int) and self.low <= answer <= self.high

    def others(self, answer: Any) -> list[int]:
        """One less and one more."""
        return [other for other in (answer - 1, answer + 1) if self.low <= other <= self.high]

    def step(self, answer: Any, generator: random.Random) -> int:
        """One less or one more."""
        return generator.choice(self.others(answer))


@dataclass(frozen=True, slots=True)
class Real:
    """A number in low..high, measured in its logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        """What it may be, for messages."""
        return f"a number in {self.low:g}..{self.high:g}"

    def draw(self, generator: random.Random) -> float:
        """Evenly, or evenly in the logarithm."""
        return self._at(generator.random())

    def contains(self, answer: Any) -> bool:
        """Whether it is a number in low..high."""
        return isinstance(answer, int | float) and self.low <= answer <= self.high

    def others(self, answer: Any) -> list[float]:
        """A `STEP` down and up, cut off at the ends."""
        place = self._place(answer)
        return [other for other in (self._at(place - STEP), self._at(place + STEP)) if other != answer]

    def step(self, answer: Any, generator: random.Random) -> float:
        """A normal step of standard deviation `STEP`, cut off at the ends."""
        return self._at(self._place(answer) + generator.gauss(0, STEP))

    def _place(self, answer: float) -> float:
        """Where in the range an answer lies: 0 is low, 1 is high."""
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(answer / self.low) / math.log(self.high / self.low)
        return (answer - self.low) / (self.high - self.low)

    def _at(self, place: float) -> float:
        if place <= 0 or place >= 1:
            return self.low if place <= 0 else self.high
        answer = self.low * (self.high / self.low) ** place if self.log else self.low + place * (self.high - self.low)
        return min(max(answer, self.low), self.high)  # rounding may lead out


Distribution = Categorical | Integer | Real
