"""Dense, row–column and mixer layers."""

from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from space.blocks.base import (
    Activation,
    Block,
    Positive,
    Repeats,
    ScalingNorm,
    Shape,
    ShapePreserving,
    activate,
    size,
    slopes,
)
from space.blocks.memory import sliding
from space.cost import Cost


class FlatDense(nn.Module):
    """Flatten, linear, batch norm, activation."""

    def __init__(self, features: int, width: int, activation: Activation) -> None:
        """Dense layer from all `features` of a sample to `width`."""
        super().__init__()
        self.linear = nn.Linear(features, width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.activation = activate(activation, width)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features 1 1"]:
        """Return `width` features as maps of one position."""
        y: Tensor = self.activation(self.norm(self.linear(x.flatten(1))))
        return y[:, :, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(Block):
    """Linear layer over all activations, batch norm, activation."""

    kind: Literal["dense"] = "dense"
    width: Positive
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """(width, 1, 1)."""
        return self.width, 1, 1

    def cost(self, shape: Shape) -> Cost:
        """n·W weights."""
        weights = size(shape) * self.width
        slope = slopes(self.activation, self.width)
        return Cost.of(
            weights=weights,
            trained=2 * self.width + slope,
            kept=self.width + slope,
            macs=weights,
            memory=size(shape) + self.width,
            multipliers=self.width,
        )

    def build(self, shape: Shape) -> nn.Module:
        """Flatten, Linear, BatchNorm1d, activation."""
        return FlatDense(size(shape), self.width, self.activation)


class RowColumn(nn.Module):
    """X → act(norm(A X B)) for every channel, norm over single activations; residual where the shape is kept."""

    def __init__(self, shape: Shape, rows: int, columns: int, heads: int | None, activation: Activation) -> None:
        """Factors A (rows, height) and B (width, columns): one pair, or `heads` pairs a channel."""
        super().__init__()
        channels, height, width = shape
        each = () if heads is None else (channels,)
        self.row_factor = nn.Parameter(torch.randn(*each, (heads or 1) * rows, height) / height**0.5)
        self.column_factor = nn.Parameter(torch.randn(*each, width, (heads or 1) * columns) / width**0.5)
        channels *= heads or 1
        self.rows, self.columns = rows, columns
        self.norm = nn.BatchNorm1d(channels * rows * columns)
        self.activation = activate(activation, channels)
        self.residual = (channels, rows, columns) == shape

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch heads {self.rows} {self.columns}"]:
        """Return a matrix (rows, columns) a channel, or `heads` of them a channel."""
        if self.row_factor.ndim == 2:
            y = torch.matmul(self.row_factor, torch.matmul(x, self.column_factor))
        else:
            y = self._pairs(x)
        y = self.activation(self.norm(y.flatten(1)).view_as(y))
        out: Tensor = x + y if self.residual else y
        return out

    def _pairs(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch heads {self.rows} {self.columns}"]:
        # all samples in one product a channel, then one a pair: (B·H, W) × (W, h·j), then (i, H) × (H, B·j)
        batch, channels, height, width = x.shape
        y = torch.bmm(x.transpose(0, 1).reshape(channels, batch * height, width), self.column_factor)
        y = y.view(channels, batch, height, -1, self.columns).permute(0, 3, 2, 1, 4)
        y = y.reshape(-1, height, batch * self.columns)
        y = torch.bmm(self.row_factor.view(-1, self.rows, height), y)
        return y.view(-1, self.rows, batch, self.columns).permute(2, 0, 1, 3).contiguous()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bilinear(Block):
    """Row–column layer: a dense layer factored over rows and columns, X → act(norm(A X B)).

    All channels share A and B; with `heads`, every channel has that many pairs of its own, each giving a channel.
    """

    kind: Literal["bilinear"] = "bilinear"
    rows: Positive
    columns: Positive
    activation: Activation = "relu"
    heads: Positive | None = None

    def canonical(self, shape: Shape) -> Self:
        """One pair for the only channel is one pair for all."""
        return replace(self, heads=None) if self.heads == shape[0] == 1 else self

    def output(self, shape: Shape) -> Shape:
        """(channels·heads, rows, columns)."""
        return shape[0] * (self.heads or 1), self.rows, self.columns

    def cost(self, shape: Shape) -> Cost:
        """H·rows + W·columns weights a pair; a scale and a shift an activation, kept because A and B are shared.

        In memory are input, output, and one column of X B in 16 bits.
        """
        height, width = shape[1:]
        out = self.output(shape)
        channels, pairs = out[0], 1 if self.heads is None else out[0]
        slope = slopes(self.activation, channels)
        # columns first, as the module does it: X B is (height, columns), then A (X B)
        macs = channels * (height * width * self.columns + self.rows * height * self.columns)
        return Cost.of(
            weights=pairs * (height * self.rows + width * self.columns),
            trained=2 * size(out) + slope,
            kept=2 * size(out) + slope,
            macs=macs,
            memory=size(shape) + size(out) + 2 * height,
            multipliers=pairs * self.columns,
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `RowColumn` layer."""
        return RowColumn(shape, self.rows, self.columns, self.canonical(shape).heads, self.activation)

    def matrices(self, module: nn.Module) -> dict[Tensor, torch.Size]:
        """A and B, batches of matrices if there are heads."""
        assert isinstance(module, RowColumn)
        return {factor: factor.shape for factor in (module.row_factor, module.column_factor)}


class PositionsAsRows(nn.Module):
    """Maps as one matrix of positions and channels."""

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch 1 height*width channels"]:
        """Transpose positions and channels."""
        return x.flatten(2).transpose(1, 2).unsqueeze(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Block):
    """Maps as one matrix, positions as rows and channels as columns; a sequence becomes (1, time, features)."""

    kind: Literal["matrix"] = "matrix"

    def output(self, shape: Shape) -> Shape:
        """(1, height·width, channels)."""
        return 1, shape[1] * shape[2], shape[0]

    def cost(self, shape: Shape) -> Cost:
        """No parameters; the activations lie in memory as they are."""
        return Cost.of(weights=0, trained=0, kept=0, macs=0, memory=size(shape))

    def build(self, shape: Shape) -> nn.Module:
        """A transposition."""
        return PositionsAsRows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches(Block):
    """Linear embedding of non-overlapping patches, scaling norm (Dosovitskiy et al. 2021); rests are cut off.

    Dense layers and mixers behind it begin with a norm, scans with a shift or a bias of their own.
    """

    kind: Literal["patches"] = "patches"
    side: Positive
    width: Positive

    def canonical(self, shape: Shape) -> Self:
        """A patch is no larger than the maps."""
        return replace(self, side=min(self.side, max(shape[1:])))

    def output(self, shape: Shape) -> Shape:
        """(width, ⌊height/side⌋, ⌊width/side⌋), at least 1."""
        return self.width, max(1, shape[1] // self.side), max(1, shape[2] // self.side)

    def cost(self, shape: Shape) -> Cost:
        """C·side²·W weights, a scale a feature, of which folding makes a bias; a patch is no larger than the maps."""
        height, width = self._patch(shape)
        weights = shape[0] * height * width * self.width
        out = self.output(shape)
        return Cost.of(
            weights=weights,
            trained=self.width,
            kept=self.width,
            macs=weights * out[1] * out[2],
            memory=sliding(shape, out, height),
            multipliers=self.width,
        )

    def build(self, shape: Shape) -> nn.Module:
        """Conv2d with the stride of its kernel, ScalingNorm."""
        patch = self._patch(shape)
        return nn.Sequential(nn.Conv2d(shape[0], self.width, patch, patch, bias=False), ScalingNorm(self.width))

    def _patch(self, shape: Shape) -> tuple[int, int]:
        return min(self.side, shape[1]), min(self.side, shape[2])


class TiedMixer(nn.Module):
    """Token mixing and channel mixing (Tolstikhin et al. 2021), the same weights applied once a pair of norms."""

    def __init__(
        self, shape: Shape, token_width: int, channel_width: int, repeats: int, activation: Activation
    ) -> None:
        """Mix height·width tokens of `channels` features."""
        super().__init__()
        channels, tokens = shape[0], shape[1] * shape[2]
        self.token_mixing = nn.Sequential(
            nn.Linear(tokens, token_width), activate(activation, channels), nn.Linear(token_width, tokens)
        )
        self.channel_mixing = nn.Sequential(
            nn.Conv1d(channels, channel_width, 1),
            activate(activation, channel_width),
            nn.Conv1d(channel_width, channels, 1),
        )
        self.token_norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(repeats))
        self.channel_norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(repeats))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Mix tokens, then channels, once a pair of norms."""
        y = x.flatten(2)
        for token_norm, channel_norm in zip(self.token_norms, self.channel_norms, strict=True):
            y = y + self.token_mixing(token_norm(y))
            y = y + self.channel_mixing(channel_norm(y))
        return y.view_as(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer(ShapePreserving):
    """Mixer block over the positions as tokens; one set of weights applied `repeats` times."""

    kind: Literal["mixer"] = "mixer"
    token_width: Positive
    channel_width: Positive
    repeats: Repeats = 1
    activation: Activation = "relu"

    def cost(self, shape: Shape) -> Cost:
        """2·T·t + 2·C·c weights with biases; two norms a repeat.

        Kept are the norms of shared weights, and that of the tokens, whose layer all channels share; the channels' norm
        of a single repeat folds into the layer behind it. In memory are the maps, one vector of them, and what is
        behind its first layer.
        """
        channels, tokens = shape[0], shape[1] * shape[2]
        weights = 2 * tokens * self.token_width + 2 * channels * self.channel_width
        biases = self.token_width + tokens + self.channel_width + channels
        biases += slopes(self.activation, channels) + slopes(self.activation, self.channel_width)
        macs = 2 * tokens * channels * (self.token_width + self.channel_width) * self.repeats
        norms = 4 * channels * self.repeats
        return Cost.of(
            weights=weights,
            trained=biases + norms,
            kept=biases + (norms if self.repeats > 1 else 2 * channels),
            macs=macs,
            memory=size(shape) + max(tokens + self.token_width, channels + self.channel_width),
            multipliers=self.token_width + tokens + self.channel_width + channels,
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `TiedMixer`."""
        return TiedMixer(shape, self.token_width, self.channel_width, self.repeats, self.activation)
