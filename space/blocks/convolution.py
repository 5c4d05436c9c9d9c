"""Full convolutions, plain and weight-tied, and pooling."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from space.blocks.base import Activation, Block, Kernel, Positive, Repeats, Shape, activate, size, slopes
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution(Block):
    """k×k convolution, batch norm, activation."""

    kind: Literal["convolution"] = "convolution"
    width: Positive
    kernel: Kernel = 3
    stride: Positive = 1
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """(width, ⌈height/stride⌉, ⌈width/stride⌉)."""
        return strided(shape, self.width, self.stride)

    def cost(self, shape: Shape) -> Cost:
        """C·W·k² weights; scale and shift a channel, of which folding keeps one bias."""
        weights = shape[0] * self.width * taps(shape, self.kernel, self.stride)
        out = self.output(shape)
        slope = slopes(self.activation, self.width)
        return Cost.of(
            weights=weights,
            trained=2 * self.width + slope,
            kept=self.width + slope,
            macs=weights * out[1] * out[2],
            memory=size(shape) + size(out),
        )

    def build(self, shape: Shape) -> nn.Module:
        """Conv2d, BatchNorm2d, activation."""
        return nn.Sequential(
            convolve(shape, self.width, self.kernel, self.stride),
            nn.BatchNorm2d(self.width),
            activate(self.activation, self.width),
        )


class Tied(nn.Module):
    """x ← x + act(normᵢ(body(x))) for every norm: one body, applied once a norm."""

    def __init__(self, body: nn.Module, channels: int, repeats: int, activation: Activation) -> None:
        """Apply `body` (channels to channels, shape kept) `repeats` times."""
        super().__init__()
        self.body = body
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(repeats))
        self.activation = activate(activation, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same."""
        for norm in self.norms:
            x = x + self.activation(norm(self.body(x)))
        return x


def tied_vectors(channels: int, repeats: int, activation: Activation) -> tuple[int, int]:
    """Trained and kept vector parameters of `Tied`: only a body used once can absorb the norm's scale."""
    slope = slopes(activation, channels)
    return 2 * channels * repeats + slope, (2 * channels * repeats if repeats > 1 else channels) + slope


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualConvolution(Block):
    """One width-preserving k×k convolution applied `repeats` times residually, a batch norm of its own each time."""

    kind: Literal["residual_convolution"] = "residual_convolution"
    kernel: Kernel = 3
    repeats: Repeats = 1
    activation: Activation = "relu"

    def output(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape

    def cost(self, shape: Shape) -> Cost:
        """C²·k² weights once, however often they are applied."""
        channels = shape[0]
        weights = channels**2 * taps(shape, self.kernel)
        trained, kept = tied_vectors(channels, self.repeats, self.activation)
        macs = weights * shape[1] * shape[2] * self.repeats
        return Cost.of(weights=weights, trained=trained, kept=kept, macs=macs, memory=2 * size(shape))

    def build(self, shape: Shape) -> nn.Module:
        """A `Tied` convolution."""
        return Tied(convolve(shape, shape[0], self.kernel), shape[0], self.repeats, self.activation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Block):
    """2×2 pooling with stride 2; a side of 1 stays 1, an odd side loses its last line."""

    kind: Literal["pool"] = "pool"
    mode: Literal["max", "average"] = "max"

    def output(self, shape: Shape) -> Shape:
        """(channels, height/2, width/2), at least 1."""
        return shape[0], max(1, shape[1] // 2), max(1, shape[2] // 2)

    def cost(self, shape: Shape) -> Cost:
        """No parameters."""
        return Cost.of(weights=0, trained=0, kept=0, macs=0, memory=size(shape) + size(self.output(shape)))

    def build(self, shape: Shape) -> nn.Module:
        """MaxPool2d or AvgPool2d."""
        kernel = (min(2, shape[1]), min(2, shape[2]))
        return nn.MaxPool2d(kernel) if self.mode == "max" else nn.AvgPool2d(kernel)


class MeanOverPositions(nn.Module):
    """(batch, channels, height, width) to (batch, channels, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
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
        """No parameters."""
        return Cost.of(weights=0, trained=0, kept=0, macs=0, memory=size(shape) + shape[0])

    def build(self, shape: Shape) -> nn.Module:
        """Mean over height and width."""
        return MeanOverPositions()
