"""Depthwise-separable blocks, plain and weight-tied (Howard et al. 2017; Sandler et al. 2018), squeeze-excite."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from space.blocks.base import Activation, Block, Kernel, Positive, Repeats, ScalingNorm, Shape, activate, size, slopes
from space.blocks.convolution import Tied, convolve, strided, taps, tied_vectors
from space.cost import Cost


def depthwise(shape: Shape, kernel: int, stride: int = 1) -> nn.Conv2d:
    """k×k convolution of every channel with a kernel of its own."""
    return convolve(shape, shape[0], kernel, stride, groups=shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Separable(Block):
    """k×k depthwise convolution, 1×1 convolution, batch norm, activation."""

    kind: Literal["separable"] = "separable"
    width: Positive
    kernel: Kernel = 3
    stride: Positive = 1
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """(width, ⌈height/stride⌉, ⌈width/stride⌉)."""
        return strided(shape, self.width, self.stride)

    def cost(self, shape: Shape) -> Cost:
        """C·k² + C·W weights."""
        channels = shape[0]
        weights = channels * taps(shape, self.kernel, self.stride) + channels * self.width
        out = self.output(shape)
        middle = channels * out[1] * out[2]
        slope = slopes(self.activation, self.width)
        return Cost.of(
            weights=weights,
            trained=2 * self.width + slope,
            kept=self.width + slope,
            macs=weights * out[1] * out[2],
            memory=middle + max(size(shape), size(out)),
        )

    def build(self, shape: Shape) -> nn.Module:
        """Depthwise Conv2d, 1×1 Conv2d, BatchNorm2d, activation."""
        return nn.Sequential(
            depthwise(shape, self.kernel, self.stride),
            nn.Conv2d(shape[0], self.width, 1, bias=False),
            nn.BatchNorm2d(self.width),
            activate(self.activation, self.width),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualSeparable(Block):
    """One width-preserving separable convolution applied `repeats` times residually, a norm of its own each time."""

    kind: Literal["residual_separable"] = "residual_separable"
    kernel: Kernel = 3
    repeats: Repeats = 1
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape

    def cost(self, shape: Shape) -> Cost:
        """C·k² + C² weights once, however often they are applied."""
        channels = shape[0]
        weights = channels * taps(shape, self.kernel) + channels**2
        trained, kept = tied_vectors(channels, self.repeats, self.activation)
        macs = weights * shape[1] * shape[2] * self.repeats
        return Cost.of(weights=weights, trained=trained, kept=kept, macs=macs, memory=3 * size(shape))

    def build(self, shape: Shape) -> nn.Module:
        """A `Tied` separable convolution."""
        body = nn.Sequential(depthwise(shape, self.kernel), nn.Conv2d(shape[0], shape[0], 1, bias=False))
        return Tied(body, shape[0], self.repeats, self.activation)


class TiedInverted(nn.Module):
    """x ← x + normₒ(project(act(normₘ(depthwise(act(normₑ(expand(x)))))))), three norms of its own each time.

    normₒ only scales: normₑ of the next time takes out what it would shift by, and so do the layers behind the block.
    """

    def __init__(self, shape: Shape, expansion: int, kernel: int, repeats: int, activation: Activation) -> None:
        """Apply one inverted residual, `expansion` times as wide inside, `repeats` times."""
        super().__init__()
        channels, expanded = shape[0], expansion * shape[0]
        self.expand = nn.Conv2d(channels, expanded, 1, bias=False)
        self.depthwise = depthwise((expanded, *shape[1:]), kernel)
        self.project = nn.Conv2d(expanded, channels, 1, bias=False)
        self.expand_norms = nn.ModuleList(nn.BatchNorm2d(expanded) for _ in range(repeats))
        self.depthwise_norms = nn.ModuleList(nn.BatchNorm2d(expanded) for _ in range(repeats))
        self.project_norms = nn.ModuleList(ScalingNorm(channels) for _ in range(repeats))
        self.first = activate(activation, expanded)
        self.second = activate(activation, expanded)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same."""
        norms = zip(self.expand_norms, self.depthwise_norms, self.project_norms, strict=True)
        for expand_norm, depthwise_norm, project_norm in norms:
            y = self.first(expand_norm(self.expand(x)))
            y = self.second(depthwise_norm(self.depthwise(y)))
            x = x + project_norm(self.project(y))
        return x


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedResidual(Block):
    """Width-preserving inverted residual (Sandler et al. 2018), one set of weights applied `repeats` times."""

    kind: Literal["inverted_residual"] = "inverted_residual"
    expansion: Positive = 2
    kernel: Kernel = 3
    repeats: Repeats = 1
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape

    def cost(self, shape: Shape) -> Cost:
        """2·C·E + E·k² weights, E = expansion·C; 4·E + C scales and shifts a repeat.

        One repeat folds to biases. Of several, what normₒ shifts by folds into normₑ of the next, and a bias a channel
        is left at the end.
        """
        channels = shape[0]
        expanded = self.expansion * channels
        weights = 2 * channels * expanded + expanded * taps(shape, self.kernel)
        norms = (4 * expanded + channels) * self.repeats
        slope = 2 * slopes(self.activation, expanded)
        return Cost.of(
            weights=weights,
            trained=norms + slope,
            kept=(norms + channels if self.repeats > 1 else 2 * expanded + channels) + slope,
            macs=weights * shape[1] * shape[2] * self.repeats,
            memory=size(shape) + 2 * self.expansion * size(shape),
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `TiedInverted` block."""
        return TiedInverted(shape, self.expansion, self.kernel, self.repeats, self.activation)


class Gates(nn.Module):
    """x·σ(W₂·act(W₁·mean(x) + b₁) + b₂), one gate a channel."""

    def __init__(self, channels: int, width: int, activation: Activation) -> None:
        """Gates of `channels` through a bottleneck of `width`."""
        super().__init__()
        self.squeeze = nn.Linear(channels, width)
        self.activation = activate(activation, width)
        self.excite = nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same."""
        gates = torch.sigmoid(self.excite(self.activation(self.squeeze(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeExcite(Block):
    """Scales every channel by a gate that sees the mean of all channels (Hu et al. 2018, eqs. 2 to 4)."""

    kind: Literal["squeeze_excite"] = "squeeze_excite"
    width: Positive
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape

    def cost(self, shape: Shape) -> Cost:
        """2·C·W weights and their biases; scaling the maps is elementwise, so not among the MACs."""
        weights = 2 * shape[0] * self.width
        vectors = self.width + shape[0] + slopes(self.activation, self.width)
        return Cost.of(
            weights=weights,
            trained=vectors,
            kept=vectors,
            macs=weights,
            memory=2 * size(shape) + shape[0],
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `Gates` module."""
        return Gates(shape[0], self.width, self.activation)
