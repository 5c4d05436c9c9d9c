"""Fixed-point arithmetic: products shifted and rounded, σ and tanh by a table."""

import math

import torch
from torch import Tensor

INTERVALS, PER_ONE = 64, 8
"""The table of σ has this many intervals, of 1/8 each: from 0 to 8."""
TABLE = tuple(round(2**15 / (1 + math.exp(-k / PER_ONE))) for k in range(INTERVALS + 1))
"""σ(k/8) in 2¹⁵ths; between them it is linear, which is wrong by less than 2e-4."""


def scaled(value: Tensor, factor: Tensor | int, shift: int) -> Tensor:
    """value·factor / 2^shift, rounded half up, int64."""
    wide = factor.long() if isinstance(factor, Tensor) else factor
    product: Tensor = value.long() * wide + (1 << shift - 1)
    return product >> shift


def sigmoid(x: Tensor, fraction: int) -> Tensor:
    """σ in 2¹⁵ths of numbers with `fraction` bits behind the point, at least 4."""
    step = fraction - 3
    size = x.abs().clamp_max((PER_ONE << fraction) - 1)
    index, part = size >> step, size & (1 << step) - 1
    table = torch.tensor(TABLE, device=x.device)
    low, high = table[index], table[index + 1]
    found = low + ((high - low) * part >> step)
    return torch.where(x < 0, (1 << 15) - found, found)


def interpolated(x: Tensor, table: Tensor) -> Tensor:
    """σ of floating-point numbers, from the table, int32 (65,), as `sigmoid` has it of fixed-point ones."""
    size = (x.abs() * PER_ONE).clamp_max(INTERVALS - 2.0**-12)
    index = size.long()
    low, high = table[index].to(x.dtype), table[index + 1].to(x.dtype)
    found = (low + torch.floor((high - low) * (size - index))) / 2**15
    return torch.where(x < 0, 1 - found, found)


def tanh(x: Tensor, fraction: int) -> Tensor:
    """Tanh in 2¹⁵ths: 2·σ(2x) − 1."""
    return 2 * sigmoid(2 * x, fraction) - (1 << 15)
