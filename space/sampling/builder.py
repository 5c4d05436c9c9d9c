"""A draft: one student while it is drawn, its structure from the trial, its widths left open.

A part is a block, or a function from a scale (the width of the first layer) to one. The finished plan gives the blocks
for any scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from space.architecture import AnyBlock, Family
from space.blocks.base import Activation, Shape
from space.blocks.convolution import Pool

Part = AnyBlock | Callable[[float], AnyBlock]
BlocksForScale = Callable[[float], tuple[AnyBlock, ...]]

ACTIVATIONS: tuple[Activation, ...] = ("relu", "leaky_relu", "prelu", "silu", "hardswish")
MIN_POSITIONS = 4
"""Positions that the longer side of an input must have for families that convolve or scan."""


class Trial(Protocol):
    """What a draw may ask for: the three methods of an Optuna trial that the space uses."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number in low..high."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices."""


def width(scale: float, ratio: float = 1.0) -> int:
    """A whole width of at least 2."""
    return max(2, round(scale * ratio))


@dataclass(slots=True)
class ArchitectureBuilder:
    """A student while it is drawn: its parts so far, and the shape after them at scale 1."""

    trial: Trial
    family: Family
    shape: Shape
    parts: list[Part] = field(default_factory=list)

    def choice(self, what: str, options: Sequence[Any]) -> Any:
        """Draw one of the options; the only one is not asked for."""
        if len(options) == 1:
            return options[0]
        return self.trial.suggest_categorical(f"{self.family}.{what}", options)

    def count(self, what: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""
        return self.trial.suggest_int(f"{self.family}.{what}", low, high)

    def ratio(self, what: str, low: float, high: float) -> float:
        """Draw a ratio of widths, evenly on a log scale."""
        return self.trial.suggest_float(f"{self.family}.{what}", low, high, log=True)

    def activation(self) -> Activation:
        """Draw the activation of all layers."""
        activation: Activation = self.choice("activation", ACTIVATIONS)
        return activation

    def add(self, part: Part) -> None:
        """Add a part."""
        self.parts.append(part)
        block = part(1.0) if callable(part) else part
        self.shape = block.output(self.shape)

    @property
    def can_halve(self) -> bool:
        """Whether maps may be halved: every side that is not 1 has at least 4 positions.

        Halving 3 by a pool would cut off a line that kernels of 5 were reaching for; halving 2 would end a sequence.
        """
        sides = self.shape[1:]
        return max(sides) > 1 and all(side == 1 or side >= MIN_POSITIONS for side in sides)

    @property
    def positions(self) -> int:
        """Positions of the maps."""
        return self.shape[1] * self.shape[2]

    def pool(self, mode: Literal["max", "average"] = "max") -> None:
        """Halve the maps where they are roomy."""
        if self.can_halve:
            self.add(Pool(mode=mode))

    def pool_to(self, positions: int) -> None:
        """Halve the maps until they have at most that many positions, or are not roomy."""
        while self.positions > positions and self.can_halve:
            self.pool()

    def plan(self) -> BlocksForScale:
        """Blocks for any scale."""
        parts = tuple(self.parts)
        return lambda scale: tuple(part(scale) if callable(part) else part for part in parts)
