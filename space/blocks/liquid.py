"""Liquid blocks: LTC and CfC cells that scan maps or sequences, and a convolutional liquid block."""

from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from space.blocks.base import Block, Kernel, Positive, Repeats, Shape, ShapePreserving, size
from space.blocks.cells import ClosedFormCell, LiquidTimeConstantCell
from space.blocks.convolution import clip_kernel, convolve, reach, taps
from space.blocks.memory import clearance
from space.cost import Cost

CellKind = Literal["ltc", "cfc"]
Axis = Literal["rows", "columns", "positions"]
"""What is a time step: a row, a column, or one position, row by row."""
Readout = Literal["last", "mean"]
"""What a scan hands on: its last state, or the mean of the states at all time steps."""


def steps_and_features(shape: Shape, axis: Axis) -> tuple[int, int]:
    """Time steps, and features a step, of a scan along `axis`."""
    channels, height, width = shape
    match axis:
        case "rows":
            return height, channels * width
        case "columns":
            return width, channels * height
        case "positions":
            return height * width, channels


class Scan(nn.Module):
    """Reads maps with a liquid cell, in one or both directions."""

    def __init__(self, cells: list[nn.Module], axis: Axis) -> None:
        """The first cell reads forwards, the second, if any, backwards."""
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.axis = axis

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch states 1 1"]:
        """Read the maps step by step; the cells' states lie one behind the other."""
        if self.axis == "positions":
            sequence = x.flatten(2).transpose(1, 2)
        else:
            sequence = x.permute((0, 2, 1, 3) if self.axis == "rows" else (0, 3, 1, 2)).flatten(2)
        directions = (sequence, sequence.flip(1))
        states = [cell(s) for cell, s in zip(self.cells, directions[: len(self.cells)], strict=True)]
        return torch.cat(states, dim=1)[:, :, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidScan(Block):
    """A liquid cell over rows, columns or positions; its output is the last state, or the mean of all states.

    `unfolds` are solver steps a time step, of an LTC cell only.
    """

    kind: Literal["liquid_scan"] = "liquid_scan"
    cell: CellKind
    hidden: Positive
    axis: Axis = "rows"
    both_directions: bool = False
    unfolds: Repeats = 1
    readout: Readout = "last"

    def canonical(self, shape: Shape) -> Self:
        """CfC cells have no solver steps; maps of one position are one time step, whatever the axis and the readout.

        Where one side is 1, a scan of positions is one along the other side.
        """
        _, height, width = shape
        block = replace(self, unfolds=1) if self.cell == "cfc" else self
        if height == width == 1:
            return replace(block, axis="rows", readout="last")
        if self.axis == "positions" and 1 in (height, width):
            return replace(block, axis="rows" if width == 1 else "columns")
        return block

    def output(self, shape: Shape) -> Shape:
        """(hidden, 1, 1), twice as many for both directions."""
        return self.hidden * (1 + self.both_directions), 1, 1

    def cost(self, shape: Shape) -> Cost:
        """A cell's parameters once a direction; MACs over all time steps.

        LTC: four numbers a synapse, three a state, two an input. A synapse takes three multiplications: by its
        steepness, by its conductance and by its reversal potential; those of the inputs once a time step, those of the
        states every solver step. CfC: three gates, each linear in input and state. In memory are input and output, the
        state and the next one in 16 bits, and in 32 bits the sum of a mean and what the inputs give to an LTC's
        numerator and denominator where several solver steps need it.
        """
        steps, features = steps_and_features(shape, self.axis)
        hidden, cells = self.hidden, 1 + self.both_directions
        if self.cell == "ltc":
            words = 2 if self.unfolds > 1 else 0
            weights = 4 * hidden * (features + hidden)
            vectors = 3 * hidden + 2 * features
            macs = 3 * steps * hidden * (features + hidden * self.unfolds)
        else:
            words = 0
            weights = 3 * hidden * (features + hidden)
            vectors = 3 * hidden
            macs = weights * steps
        return Cost.of(
            weights=weights * cells,
            trained=vectors * cells,
            kept=vectors * cells,
            macs=macs * cells,
            memory=size(shape) + hidden * cells + 4 * hidden * (1 + words + (self.readout == "mean")),
            multipliers=6 * hidden * cells,
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `Scan` with one or two cells."""
        _, features = steps_and_features(shape, self.axis)

        def make() -> nn.Module:
            if self.cell == "ltc":
                return LiquidTimeConstantCell(features, self.hidden, self.unfolds, mean=self.readout == "mean")
            return ClosedFormCell(features, self.hidden, mean=self.readout == "mean")

        return Scan([make() for _ in range(1 + self.both_directions)], self.axis)


class LiquidMaps(nn.Module):
    """x ← (x + f·A) / (1 + 1/τ + f), f = σ(normᵢ(conv(x))): the fused LTC step (Hasani et al. 2021) on maps."""

    def __init__(self, shape: Shape, kernel: int, unfolds: int) -> None:
        """One convolution, a reversal A and a rate 1/τ a channel; `unfolds` steps, a norm of its own each."""
        super().__init__()
        channels = shape[0]
        self.synapse = convolve(shape, channels, kernel)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(unfolds))
        self.reversal = nn.Parameter(torch.randn(channels, 1, 1))
        self.rate = nn.Parameter(torch.full((channels, 1, 1), -3.0))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Make one solver step a norm."""
        rate = functional.softplus(self.rate)
        for norm in self.norms:
            gate = torch.sigmoid(norm(self.synapse(x)))
            x = (x + gate * self.reversal) / (1 + rate + gate)
        return x


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidConvolution(ShapePreserving):
    """Convolutional LTC: the maps are the state, their own k×k convolution the synapses, weights tied over unfolds."""

    kind: Literal["liquid_convolution"] = "liquid_convolution"
    kernel: Kernel = 3
    unfolds: Repeats = 2

    def canonical(self, shape: Shape) -> Self:
        """A kernel ends where it only meets padding."""
        return replace(self, kernel=clip_kernel(self.kernel, shape))

    def cost(self, shape: Shape) -> Cost:
        """C²·k² weights once; a norm an unfold, a time constant and a reversal a channel. A single norm folds."""
        channels = shape[0]
        weights = channels**2 * taps(shape, self.kernel)
        norms = 2 * channels * self.unfolds
        macs = weights * shape[1] * shape[2] * self.unfolds
        return Cost.of(
            weights=weights,
            trained=norms + 2 * channels,
            kept=(norms if self.unfolds > 1 else channels) + 2 * channels,
            macs=macs,
            memory=size(shape) + clearance(shape, shape, padding=reach(shape[1], self.kernel)[0]),
            multipliers=channels if self.unfolds == 1 else 0,
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `LiquidMaps` module."""
        return LiquidMaps(shape, self.kernel, self.unfolds)
