"""Full convolutions, plain and weight-tied, and pooling."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from space.blocks.base import (
    Activation,
    Block,
    Kernel,
    Positive,
    Repeats,
    Shape,
    ShapePreserving,
    activate,
    size,
    slopes,
)
from space.blocks.memory import clearance, sliding
from space.cost import Cost


def strided(shape: Shape, width: int, stride: int) -> Shape:
    """Shape after an odd, "same"-padded kernel with `stride`."""
    return width, (shape[1] - 1) // stride + 1, (shape[2] - 1) // stride + 1


def reach(side: int, kernel: int, stride: int = 1) -> tuple[int, int]:
    """How far a "same"-padded kernel reads before and after its centre along a side.

    Centres lie at 0, stride, … up to the last multiple of the stride on the side. Weights beyond the returned reach
    would only ever meet padding: they are left out of cost and module, which changes no output.
    """
    return min(kernel // 2, (side - 1) // stride * stride), min(kernel // 2, side - 1)


def taps(shape: Shape, kernel: int, stride: int = 1) -> int:
    """Weights of one clipped kernel: k² on maps that are large enough."""
    _, height, width = shape
    half = kernel // 2
    if height - stride >= half and width - stride >= half:
        return kernel**2
    return (sum(reach(height, kernel, stride)) + 1) * (sum(reach(width, kernel, stride)) + 1)


def convolve(shape: Shape, width: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Convolution without bias from `shape` to `strided(shape, width, stride)`, its kernel clipped to its reach."""
    (top, bottom), (left, right) = (reach(side, kernel, stride) for side in shape[1:])
    # padding by the shorter reach on both ends gives the same positions, even where the kernel reads further after
    return nn.Conv2d(
        shape[0], width, (top + 1 + bottom, left + 1 + right), stride, (top, left), groups=groups, bias=False
    )


def clip_kernel(kernel: int, shape: Shape) -> int:
    """The smallest kernel that reads all that `kernel` reads on maps of `shape`."""
    return min(kernel, 2 * max(shape[1:]) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StridedLayer(Block):
    """What convolutions with a width and a stride share: convolution of some kind, batch norm, activation."""

    width: Positive
    kernel: Kernel = 3
    stride: Positive = 1
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """(width, ⌈height/stride⌉, ⌈width/stride⌉)."""
        return strided(shape, self.width, self.stride)

    def canonical(self, shape: Shape) -> Self:
        """A stride beyond the longest side leaves one position; a kernel ends where it only meets padding."""
        return replace(self, kernel=clip_kernel(self.kernel, shape), stride=min(self.stride, max(shape[1:])))

    def _memory(self, shape: Shape) -> int:
        """Input and output, which slides over it."""
        return sliding(shape, self.output(shape), self.stride, reach(shape[1], self.kernel, self.stride)[0])

    def _cost(self, shape: Shape, weights: int, memory: int, multipliers: int = 0) -> Cost:
        """Weights at every output position; scale and shift a channel, of which folding keeps one bias."""
        _, height, width = self.output(shape)
        slope = slopes(self.activation, self.width)
        return Cost.of(
            weights=weights,
            trained=2 * self.width + slope,
            kept=self.width + slope,
            macs=weights * height * width,
            memory=memory,
            multipliers=self.width + multipliers,
        )

    def _normalised(self, *layers: nn.Module) -> nn.Module:
        """The layers, BatchNorm2d, activation."""
        return nn.Sequential(*layers, nn.BatchNorm2d(self.width), activate(self.activation, self.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(StridedLayer):
    """k×k convolution, batch norm, activation."""

    kind: Literal["convolution"] = "convolution"

    def cost(self, shape: Shape) -> Cost:
        """C·W·k² weights; in memory is the input, of which the output takes the place row by row."""
        weights = shape[0] * self.width * taps(shape, self.kernel, self.stride)
        return self._cost(shape, weights, self._memory(shape))

    def build(self, shape: Shape) -> nn.Module:
        """Conv2d, BatchNorm2d, activation."""
        return self._normalised(convolve(shape, self.width, self.kernel, self.stride))


class Tied(nn.Module):
    """x ← x + act(normᵢ(body(x))) for every norm: one body, applied once a norm."""

    def __init__(self, body: nn.Module, channels: int, repeats: int, activation: Activation) -> None:
        """Apply `body` (channels to channels, shape kept) `repeats` times."""
        super().__init__()
        self.body = body
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(repeats))
        self.activation = activate(activation, channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Apply the body and each of its norms in turn."""
        for norm in self.norms:
            x = x + self.activation(norm(self.body(x)))
        return x


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedLayer(ShapePreserving):
    """What weight-tied residual blocks share: weights that are applied `repeats` times, each time with its own norm."""

    kernel: Kernel = 3
    repeats: Repeats = 1
    activation: Activation = "relu"

    def canonical(self, shape: Shape) -> Self:
        """A kernel ends where it only meets padding."""
        return replace(self, kernel=clip_kernel(self.kernel, shape))

    def _memory(self, shape: Shape) -> int:
        """The state, and the rows of the next one that are written before those of the last are no longer needed."""
        return size(shape) + clearance(shape, shape, padding=reach(shape[1], self.kernel)[0])

    def _cost(self, shape: Shape, weights: int, memory: int, multipliers: int = 0) -> Cost:
        """Weights once, however often they are applied; a scale and a shift a channel and repeat.

        Only a body applied once can absorb the norm's scale.
        """
        channels, height, width = shape
        norms, slope = 2 * channels * self.repeats, slopes(self.activation, channels)
        return Cost.of(
            weights=weights,
            trained=norms + slope,
            kept=(norms if self.repeats > 1 else channels) + slope,
            macs=weights * height * width * self.repeats,
            memory=memory,
            multipliers=multipliers + (channels if self.repeats == 1 else 0),
        )

    def _tied(self, body: nn.Module, shape: Shape) -> nn.Module:
        """A `Tied` body."""
        return Tied(body, shape[0], self.repeats, self.activation)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualConvolution(TiedLayer):
    """One width-preserving k×k convolution applied `repeats` times residually, a batch norm of its own each time."""

    kind: Literal["residual_convolution"] = "residual_convolution"

    def cost(self, shape: Shape) -> Cost:
        """C²·k² weights; in memory is the state."""
        return self._cost(shape, shape[0] ** 2 * taps(shape, self.kernel), self._memory(shape))

    def build(self, shape: Shape) -> nn.Module:
        """A `Tied` convolution."""
        return self._tied(convolve(shape, shape[0], self.kernel), shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Block):
    """2×2 pooling with stride 2; a side of 1 stays 1, an odd side loses its last line."""

    kind: Literal["pool"] = "pool"
    mode: Literal["max", "average"] = "max"

    def canonical(self, shape: Shape) -> Self:
        """On maps of one position both modes do nothing."""
        return replace(self, mode="max") if max(shape[1:]) == 1 else self

    def output(self, shape: Shape) -> Shape:
        """(channels, height/2, width/2), at least 1."""
        return shape[0], max(1, shape[1] // 2), max(1, shape[2] // 2)

    def cost(self, shape: Shape) -> Cost:
        """No parameters; the output takes the place of the input."""
        return Cost.of(weights=0, trained=0, kept=0, macs=0, memory=size(shape))

    def build(self, shape: Shape) -> nn.Module:
        """MaxPool2d or AvgPool2d."""
        kernel = (min(2, shape[1]), min(2, shape[2]))
        return nn.MaxPool2d(kernel) if self.mode == "max" else nn.AvgPool2d(kernel)


class MeanOverPositions(nn.Module):
    """The mean of every map."""

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels 1 1"]:
        """Mean over height and width."""
        return functional.adaptive_avg_pool2d(x, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAverage(Block):
    """Mean over all positions (Lin et al. 2014)."""

    kind: Literal["global_average"] = "global_average"

    def output(self, shape: Shape) -> Shape:
        """(channels, 1, 1)."""
        return shape[0], 1, 1

    def cost(self, shape: Shape) -> Cost:
        """No parameters; the output takes the place of the input."""
        return Cost.of(weights=0, trained=0, kept=0, macs=0, memory=size(shape))

    def build(self, shape: Shape) -> nn.Module:
        """Mean over height and width."""
        return MeanOverPositions()
