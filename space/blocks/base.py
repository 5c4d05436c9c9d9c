"""What every block is: a frozen description with an output shape, a closed-form cost and a module."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from torch import Tensor, nn

from space.cost import Cost

Shape = tuple[int, int, int]
"""Channels, height, width of the activations of one sample; a vector of n features is (n, 1, 1)."""


def _odd(kernel: int) -> int:
    # an even kernel has no "same" padding, which every shape here relies on
    if kernel % 2 == 0:
        raise ValueError(f"a kernel must be odd, not {kernel}")
    return kernel


Activation = Literal["relu", "leaky_relu", "prelu", "silu", "hardswish"]
Positive = Annotated[int, Field(ge=1, le=4096)]
InputShape = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2, max_length=3)]
"""What a student takes: an image (channels, height, width) or a sequence (time, features)."""
Kernel = Annotated[int, Field(ge=1, le=15), AfterValidator(_odd)]
Repeats = Annotated[int, Field(ge=1, le=32)]


class Block(ABC):
    """One step of a student. Blocks are frozen, so an architecture can be hashed, stored and compared."""

    __slots__ = ()

    @abstractmethod
    def output(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""

    @abstractmethod
    def cost(self, shape: Shape) -> Cost:
        """Cost on an input of `shape`, in closed form."""

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Module from (batch, *shape) to (batch, *output(shape))."""


def maps(shape: tuple[int, ...]) -> Shape:
    """The form in which blocks see an input: a sequence is a map (features, time, 1), an image stays what it is.

    Kernels never reach beyond a side, so on a sequence every convolution is one over time.
    """
    if len(shape) == 2:
        return shape[1], shape[0], 1
    channels, height, width = shape
    return channels, height, width


def as_maps(samples: Tensor) -> Tensor:
    """Sequences (batch, time, features) as maps (batch, features, time, 1), channels last; images as they are."""
    return samples.unsqueeze(2).permute(0, 3, 1, 2) if samples.ndim == 3 else samples


def size(shape: Shape) -> int:
    """Number of activations of one sample."""
    return shape[0] * shape[1] * shape[2]


def slopes(activation: Activation, channels: int) -> int:
    """Trainable parameters of an activation: one slope a channel for PReLU (He et al. 2015), else none."""
    return channels if activation == "prelu" else 0


class ScalingNorm(nn.BatchNorm2d):
    """Batch norm over maps that scales and does not shift: where a later norm takes every shift out again."""

    def __init__(self, channels: int) -> None:
        """Norm of `channels`."""
        super().__init__(channels)
        self.register_parameter("bias", None)


def activate(activation: Activation, channels: int) -> nn.Module:
    """Module of an activation over `channels`."""
    match activation:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(0.1, inplace=True)
        case "prelu":
            return nn.PReLU(channels)
        case "silu":
            return nn.SiLU(inplace=True)
        case "hardswish":
            return nn.Hardswish(inplace=True)
