"""Depthwise-separable blocks, plain and weight-tied (Howard et al. 2017; Sandler et al. 2018), squeeze-excite."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from space.blocks.base import Activation, Positive, ScalingNorm, Shape, ShapePreserving, activate, size, slopes
from space.blocks.convolution import StridedLayer, TiedLayer, convolve, taps
from space.cost import Cost


def depthwise(shape: Shape, kernel: int, stride: int = 1) -> nn.Conv2d:
    """k×k convolution of every channel with a kernel of its own."""
    return convolve(shape, shape[0], kernel, stride, groups=shape[0])


def separable(shape: Shape, width: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """Depthwise k×k convolution, then a 1×1 convolution to `width` channels."""
    return depthwise(shape, kernel, stride), nn.Conv2d(shape[0], width, 1, bias=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Separable(StridedLayer):
    """k×k depthwise convolution, 1×1 convolution, batch norm, activation."""

    kind: Literal["separable"] = "separable"

    def cost(self, shape: Shape) -> Cost:
        """C·k² + C·W weights; in memory are the input, which the output replaces, and one position between the two."""
        channels = shape[0]
        weights = channels * taps(shape, self.kernel, self.stride) + channels * self.width
        return self._cost(shape, weights, channels + self._memory(shape), multipliers=channels)

    def build(self, shape: Shape) -> nn.Module:
        """Depthwise Conv2d, 1×1 Conv2d, BatchNorm2d, activation."""
        return self._normalised(*separable(shape, self.width, self.kernel, self.stride))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualSeparable(TiedLayer):
    """One width-preserving separable convolution applied `repeats` times residually, a norm of its own each time."""

    kind: Literal["residual_separable"] = "residual_separable"

    def cost(self, shape: Shape) -> Cost:
        """C·k² + C² weights; in memory are the state and one position between the convolutions."""
        channels = shape[0]
        weights = channels * taps(shape, self.kernel) + channels**2
        return self._cost(shape, weights, channels + self._memory(shape), multipliers=channels)

    def build(self, shape: Shape) -> nn.Module:
        """A `Tied` separable convolution."""
        return self._tied(nn.Sequential(*separable(shape, shape[0], self.kernel)), shape)


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

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Apply the weights and each of their triples of norms in turn."""
        norms = zip(self.expand_norms, self.depthwise_norms, self.project_norms, strict=True)
        for expand_norm, depthwise_norm, project_norm in norms:
            y = self.first(expand_norm(self.expand(x)))
            y = self.second(depthwise_norm(self.depthwise(y)))
            x = x + project_norm(self.project(y))
        return x


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedResidual(TiedLayer):
    """Width-preserving inverted residual (Sandler et al. 2018), one set of weights applied `repeats` times."""

    kind: Literal["inverted_residual"] = "inverted_residual"
    expansion: Positive = 2

    def cost(self, shape: Shape) -> Cost:
        """2·C·E + E·k² weights, E = expansion·C; 4·E + C scales and shifts a repeat.

        One repeat folds to biases. Of several, what normₒ shifts by folds into normₑ of the next, and a bias a channel
        is left at the end. In memory are the state, the expanded maps and one position of them.
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
            memory=size(shape) * (1 + self.expansion) + expanded,
            multipliers=2 * expanded + channels if self.repeats == 1 else 0,
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

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Scale every channel by its gate."""
        gates = torch.sigmoid(self.excite(self.activation(self.squeeze(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeExcite(ShapePreserving):
    """Scales every channel by a gate that sees the mean of all channels (Hu et al. 2018, eqs. 2 to 4)."""

    kind: Literal["squeeze_excite"] = "squeeze_excite"
    width: Positive
    activation: Activation = "relu"

    def cost(self, shape: Shape) -> Cost:
        """2·C·W weights and their biases; scaling the maps is elementwise, so not among the MACs.

        In memory are the maps, and their means and the bottleneck in 16 bits.
        """
        weights = 2 * shape[0] * self.width
        vectors = self.width + shape[0] + slopes(self.activation, self.width)
        return Cost.of(
            weights=weights,
            trained=vectors,
            kept=vectors,
            macs=weights,
            memory=size(shape) + 2 * (shape[0] + self.width),
            multipliers=self.width + shape[0],
        )

    def build(self, shape: Shape) -> nn.Module:
        """A `Gates` module."""
        return Gates(shape[0], self.width, self.activation)
