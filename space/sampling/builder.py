"""Builds one student while its structure is drawn; its widths are left open.

Layers are added as blocks, or as functions from a scale (the width of the first layer) to a block. The result gives the
blocks for any scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from space.architecture import AnyBlock, Family
from space.blocks.base import Activation, Shape
from space.blocks.convolution import Pool

BlockForScale = Callable[[float], AnyBlock]
BlocksForScale = Callable[[float], tuple[AnyBlock, ...]]

ACTIVATIONS: tuple[Activation, ...] = ("relu", "leaky_relu", "prelu", "silu", "hardswish")
MIN_POSITIONS = 4
"""Positions that the longer side of an input must have for families that convolve or scan."""


class Trial(Protocol):
    """What draws parameters: the three methods of an Optuna trial that the space uses."""

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
    """A student while it is drawn: its layers so far, and the shape behind them at scale 1.

    Parameters are named `family.name` in the trial.
    """

    trial: Trial
    family: Family
    shape: Shape
    layers: list[AnyBlock | BlockForScale] = field(default_factory=list)

    def categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices; a single one is taken without a parameter."""
        if len(choices) == 1:
            return choices[0]
        return self.trial.suggest_categorical(f"{self.family}.{name}", choices)

    def integer(self, name: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""
        return self.trial.suggest_int(f"{self.family}.{name}", low, high)

    def ratio(self, name: str, low: float, high: float) -> float:
        """Draw a ratio of widths, log-uniform."""
        return self.trial.suggest_float(f"{self.family}.{name}", low, high, log=True)

    def activation(self) -> Activation:
        """Draw the activation of all layers."""
        activation: Activation = self.categorical("activation", ACTIVATIONS)
        return activation

    def add(self, layer: AnyBlock | BlockForScale) -> None:
        """Add a layer."""
        self.layers.append(layer)
        block = layer(1.0) if callable(layer) else layer
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
        """Halve the maps where they can be halved."""
        if self.can_halve:
            self.add(Pool(mode=mode))

    def pool_to(self, positions: int) -> None:
        """Halve the maps until they have at most that many positions, or can be halved no more."""
        while self.positions > positions and self.can_halve:
            self.pool()

    def blocks_for_scale(self) -> BlocksForScale:
        """The student so far: its blocks for any scale."""
        layers = tuple(self.layers)
        return lambda scale: tuple(layer(scale) if callable(layer) else layer for layer in layers)
