"""A student as it is deployed: no batch norm is left, and it holds exactly `Cost.deployed_parameters` values."""

from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

from space.blocks.convolution import Tied
from space.blocks.depthwise import TiedInverted
from space.blocks.liquid import LiquidMaps
from space.blocks.mlp import FlatDense, RowColumn, TiedMixer
from space.network import Student

Norm = nn.BatchNorm1d | nn.BatchNorm2d
Linear = nn.Linear | nn.Conv1d | nn.Conv2d
Layer = TypeVar("Layer", bound=nn.Module)


class Affine(nn.Module):
    """x·scale + shift a channel: what is left of a batch norm that cannot be folded; without a shift x·scale."""

    def __init__(self, scale: Tensor, shift: Tensor | None, ndim: int) -> None:
        """Values one a channel, for inputs (batch, channels, …) of `ndim` axes."""
        super().__init__()
        shape = (-1, *(1,) * (ndim - 2))
        self.scale = nn.Parameter(scale.float().reshape(shape))
        self.shift = None if shift is None else nn.Parameter(shift.float().reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply and add."""
        y = x * self.scale
        return y if self.shift is None else y + self.shift


class Shift(nn.Module):
    """x + shift, one value a channel of maps."""

    def __init__(self, shift: Tensor) -> None:
        """Values (channels,)."""
        super().__init__()
        self.shift = nn.Parameter(shift.float().reshape(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        return x + self.shift


@torch.no_grad()
def folded(student: Student) -> Student:
    """A copy of a student in evaluation mode, equal but for rounding, whose parameters are what a device stores.

    A norm behind weights that are applied once is folded into them (Jacob et al. 2018, section 3.2). One behind
    weights that are applied several times, or that channels with norms of their own share, is a multiply-and-add at
    each application, for folding it would untie them.
    """
    copy = deepcopy(student).eval()
    for index, block in enumerate(copy.blocks):
        copy.blocks[index] = _folded_block(block)
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
    return copy


def _folded_block(block: nn.Module) -> nn.Module:
    match block:
        case nn.Sequential():
            return _folded_sequence(block)
        case FlatDense():
            block.linear = _absorbing(block.linear, block.norm)
            block.norm = nn.Identity()  # type: ignore[assignment]  # what takes the place of a norm is called as it was
        case RowColumn():
            block.norm = _affine(block.norm, ndim=2)  # type: ignore[assignment]
        case Tied() if len(block.norms) == 1:
            block.body, block.norms[0] = _with_last_absorbing(block.body, block.norms[0]), nn.Identity()
        case LiquidMaps() if len(block.norms) == 1:
            block.synapse, block.norms[0] = _absorbing(block.synapse, block.norms[0]), nn.Identity()
        case Tied() | LiquidMaps():
            _make_affine(block.norms, ndim=4)
        case TiedInverted():
            return _folded_inverted(block)
        case TiedMixer():
            _fold_mixer(block)
    return block


def _folded_sequence(block: nn.Sequential) -> nn.Sequential:
    """Layers in which every norm follows a convolution."""
    layers: list[nn.Module] = []
    for layer in block:
        if isinstance(layer, Norm):
            layers[-1] = _absorbing(layers[-1], layer)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def _with_last_absorbing(body: nn.Module, norm: nn.Module) -> nn.Module:
    """A convolution, or a sequence that ends with one, with the norm behind it folded in."""
    if not isinstance(body, nn.Sequential):
        return _absorbing(body, norm)
    *first, last = body
    return nn.Sequential(*first, _absorbing(last, norm))


def _folded_inverted(block: TiedInverted) -> nn.Module:
    """Of several applications, what the last norm of one shifts by is folded into the first norm of the next."""
    if len(block.expand_norms) == 1:
        block.expand, block.expand_norms[0] = _absorbing(block.expand, block.expand_norms[0]), nn.Identity()
        block.depthwise, block.depthwise_norms[0] = _absorbing(block.depthwise, block.depthwise_norms[0]), nn.Identity()
        block.project, block.project_norms[0] = _absorbing(block.project, block.project_norms[0]), nn.Identity()
        return block
    expand = block.expand.weight.double().flatten(1)
    owed = torch.zeros(expand.shape[1], dtype=torch.float64)  # what the state lacks, one value a channel
    for index, norm in enumerate(block.expand_norms):
        scale, shift = _scale_and_shift(norm)
        block.expand_norms[index] = Affine(scale, shift + scale * (expand @ owed), ndim=4)
        scale, shift = _scale_and_shift(block.project_norms[index])
        block.project_norms[index] = Affine(scale, None, ndim=4)
        owed = owed + shift
    _make_affine(block.depthwise_norms, ndim=4)
    return nn.Sequential(block, Shift(owed))


def _fold_mixer(block: TiedMixer) -> None:
    """The norm of the channels of a single repeat folds into the layer behind it; that of the tokens never does."""
    _make_affine(block.token_norms, ndim=3)
    if len(block.channel_norms) > 1:
        _make_affine(block.channel_norms, ndim=3)
        return
    scale, shift = _scale_and_shift(block.channel_norms[0])
    first = block.channel_mixing[0]
    assert isinstance(first, nn.Conv1d) and first.bias is not None
    weight = first.weight.double()
    first.bias.copy_(first.bias.double() + weight[..., 0] @ shift)
    first.weight.copy_(weight * scale[:, None])
    block.channel_norms[0] = nn.Identity()


def _make_affine(norms: nn.ModuleList, ndim: int) -> None:
    for index, norm in enumerate(norms):
        norms[index] = _affine(norm, ndim)


def _affine(norm: nn.Module, ndim: int) -> Affine:
    return Affine(*_scale_and_shift(norm), ndim=ndim)


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a norm multiplies by and then adds, float64 (channels,)."""
    assert isinstance(norm, Norm) and norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.double()


def _absorbing(layer: Layer, norm: nn.Module) -> Layer:
    """The layer with the norm behind it folded in: its weights are scaled, and it has a bias."""
    assert isinstance(layer, Linear) and layer.bias is None
    scale, shift = _scale_and_shift(norm)
    layer.weight.copy_(layer.weight.double() * scale.reshape(-1, *(1,) * (layer.weight.ndim - 1)))
    layer.bias = nn.Parameter(shift.float())
    return layer
