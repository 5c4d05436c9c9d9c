"""Liquid blocks: LTC and CfC cells that scan maps or sequences, and a convolutional liquid block."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from space.blocks.base import Block, Kernel, Positive, Repeats, Shape, size
from space.blocks.cells import ClosedFormCell, LiquidTimeConstantCell
from space.blocks.convolution import convolve, taps
from space.cost import Cost

CellKind = Literal["ltc", "cfc"]
Axis = Literal["rows", "columns", "positions"]
"""What is a time step: a row, a column, or one position, row by row."""


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

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, cells·hidden, 1, 1)."""
        if self.axis == "positions":
            sequence = x.flatten(2).transpose(1, 2)
        else:
            sequence = x.permute((0, 2, 1, 3) if self.axis == "rows" else (0, 3, 1, 2)).flatten(2)
        directions = (sequence, sequence.flip(1))
        states = [cell(s) for cell, s in zip(self.cells, directions[: len(self.cells)], strict=True)]
        return torch.cat(states, dim=1)[:, :, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidScan(Block):
    """A liquid cell over rows, columns or positions. `unfolds` counts for LTC only.

    The last state goes on, or with the readout "mean" the mean over all states.
    """

    kind: Literal["liquid_scan"] = "liquid_scan"
    cell: CellKind
    hidden: Positive
    axis: Axis = "rows"
    both_directions: bool = False
    unfolds: Repeats = 1
    readout: Literal["mean"] | None = None

    def output(self, shape: Shape) -> Shape:
        """(hidden, 1, 1), twice as many for both directions."""
        return self.hidden * (1 + self.both_directions), 1, 1

    def cost(self, shape: Shape) -> Cost:
        """A cell's parameters once a direction; MACs over all time steps.

        LTC: four numbers a synapse, three a state, two an input; a synapse takes two MACs (its gate's argument, its
        current) a solver step. In memory are state, numerator and denominator, and what the inputs give to the latter
        two where several solver steps need it. CfC: three gates, each linear in input and state, and the state. A
        mean keeps its sum.
        """
        steps, features = steps_and_features(shape, self.axis)
        hidden, cells = self.hidden, 1 + self.both_directions
        if self.cell == "ltc":
            vectors_alive = 3 if self.unfolds == 1 else 5
            weights = 4 * hidden * (features + hidden)
            vectors = 3 * hidden + 2 * features
            macs = 2 * steps * hidden * (features + hidden * self.unfolds)
        else:
            vectors_alive = 4
            weights = 3 * hidden * (features + hidden)
            vectors = 3 * hidden
            macs = weights * steps
        return Cost.of(
            weights=weights * cells,
            trained=vectors * cells,
            kept=vectors * cells,
            macs=macs * cells,
            memory=size(shape) + hidden * (cells - 1) + hidden * (vectors_alive + (self.readout == "mean")),
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

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same."""
        rate = functional.softplus(self.rate)
        for norm in self.norms:
            gate = torch.sigmoid(norm(self.synapse(x)))
            x = (x + gate * self.reversal) / (1 + rate + gate)
        return x


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidConvolution(Block):
    """Convolutional LTC: the maps are the state, their own k×k convolution the synapses, weights tied over unfolds."""

    kind: Literal["liquid_convolution"] = "liquid_convolution"
    kernel: Kernel = 3
    unfolds: Repeats = 2

    def output(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape

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
            memory=2 * size(shape),
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `LiquidMaps` module."""
        return LiquidMaps(shape, self.kernel, self.unfolds)
