"""The interface of a block: a frozen description that knows its output shape, its cost and its module."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from jaxtyping import Float
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
"""A width, a stride or a number of heads."""
InputShape = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2, max_length=3)]
"""What a student takes: an image (channels, height, width) or a sequence (time, features)."""
Kernel = Annotated[int, Field(ge=1, le=15), AfterValidator(_odd)]
"""Side of a square kernel, odd."""
Repeats = Annotated[int, Field(ge=1, le=32)]
"""How often one set of weights is applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(ABC):
    """One step of a student. Blocks are frozen, so an architecture can be hashed, stored and compared."""

    kind: str

    @abstractmethod
    def output(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""

    @abstractmethod
    def cost(self, shape: Shape) -> Cost:
        """Cost on an input of `shape`, in closed form."""

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Module from (batch, *shape) to (batch, *output(shape))."""

    def canonical(self, shape: Shape) -> Self:
        """The one description of all those that build this block's module on an input of `shape`.

        A number that asks for more than the shape has is lowered to it; a choice without effect gets its default.
        """
        return self

    def matrices(self, module: nn.Module) -> dict[Tensor, torch.Size]:
        """The weight matrices of `module`, which this block built, with their shapes: see `weight_matrices`."""
        return weight_matrices(module)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapePreserving(Block):
    """A block whose output has the shape of its input."""

    def output(self, shape: Shape) -> Shape:
        """The input's shape."""
        return shape


def weight_matrices(module: nn.Module) -> dict[Tensor, torch.Size]:
    """Weights of linear layers and convolutions inside a module, and the shapes in which each is a matrix.

    A convolution's weight is the matrix (channels out, channels in · height · width). The kernels of a depthwise
    convolution, norms and biases are no matrices.
    """
    found: dict[Tensor, torch.Size] = {}
    for layer in module.modules():
        match layer:
            case nn.Linear():
                found[layer.weight] = layer.weight.shape
            case nn.Conv1d() | nn.Conv2d() if layer.groups == 1:
                found[layer.weight] = layer.weight.flatten(1).shape
    return found


def maps(shape: tuple[int, ...]) -> Shape:
    """The shape in which blocks see an input: a sequence is a map (features, time, 1), an image stays what it is.

    Kernels never reach beyond a side, so on a sequence every convolution is one over time.
    """
    if len(shape) == 2:
        return shape[1], shape[0], 1
    channels, height, width = shape
    return channels, height, width


def as_maps(samples: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch channels height width"]:
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
