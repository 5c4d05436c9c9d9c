"""Quantised programs: 8-bit weights and activations, and the integers that lead from sums to activations.

An activation q stands for scale·(q − zero). A layer's sums of products are 32 bits wide. `IntegerStage` takes them to a
fixed-point number, applies the activation there, adds a residual, and keeps the result in 8 bits. Everything it does
is `scaled`: a product of 64 bits, shifted and rounded half up. `kd.deploy.reference` defines this arithmetic.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.program import Nonlinearity, Program, Stage

BITS = 30
"""Largest multiplier: 2 to this power; sums have at most one bit more."""
MOST_SHIFT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """A kept tensor: its values are scale·(q − zero)."""

    scale: float
    zero: int = 0

    @classmethod
    def of(cls, low: float, high: float) -> "Quantisation":
        """The asymmetric one of 8 bits for values from `low` to `high`, 0 among them."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / 255, 1e-8)
        return cls(scale=scale, zero=min(127, max(-128, round(-128 - low / scale))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerStage:
    """From sums to kept values, once an application.

    sum·multiplier >> shift, + bias: fixed point with `fraction` bits; the activation; + (x − add_zero)·add >>
    add_shift of a residual x; ·keep >> keep_shift, + zero: what is kept. `multiplier` is int32 (applications or 1,
    channels), None for sums that are the fixed-point number; `bias` int32 (applications, channels), or (1, channels)
    for the last application alone. `slope` has 16 bits behind the point. Sums are of inputs less `in_zero`.
    """

    multiplier: Tensor | None = None
    bias: Tensor | None = None
    slope: Tensor | None = None
    activation: Nonlinearity = "none"
    shift: int = 1
    fraction: int = 0
    in_zero: tuple[int, ...] = (0,)
    add: tuple[int, ...] = (0,)
    add_shift: int = 1
    add_zero: tuple[int, ...] = (0,)
    keep: tuple[int, ...] = (1,)
    keep_shift: int = 1
    zero: tuple[int, ...] = (0,)

    @property
    def applications(self) -> int:
        """How many there are; what is given once holds for all."""
        rows = [len(part) for part in (self.in_zero, self.add, self.add_zero, self.keep, self.zero)]
        return max(*rows, 1 if self.multiplier is None else len(self.multiplier))

    @property
    def tensors(self) -> Iterator[Tensor]:
        """Its constant arrays."""
        return (tensor for tensor in (self.multiplier, self.bias, self.slope) if tensor is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantised:
    """An operation in integers: `operation` says what it does, its own constants are not used.

    Weights are int8, vectors int32; what numbers mean is said where they are made.
    """

    operation: ops.AnyOperation
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    stages: Mapping[str, IntegerStage] = field(default_factory=dict)
    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of its constant arrays: one a weight, four of a vector."""
        vectors = [*self.vectors.values(), *(tensor for stage in self.stages.values() for tensor in stage.tensors)]
        return sum(t.numel() for t in self.weights.values()) + 4 * sum(t.numel() for t in vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerInput:
    """How samples become 8 bits: pixels p as p·multiplier >> shift, + bias; numbers x as (x − mean)·factor, + zero.

    `factor` gives 256ths, cut off towards 0 and rounded half up to wholes.
    """

    quantisation: Quantisation
    multiplier: Tensor
    bias: Tensor
    shift: int
    mean: Tensor
    factor: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntegerProgram:
    """A program in integers, from raw samples to 8-bit logits, and what those stand for."""

    program: Program
    input: IntegerInput
    operations: tuple[Quantised, ...]
    logits: Quantisation

    @property
    def bytes(self) -> int:
        """Bytes of all constant arrays, without those of the input: `space.cost.Cost.int8_bytes`."""
        return sum(operation.bytes for operation in self.operations)


def multiplier(factor: float) -> tuple[int, int]:
    """A factor above 0 as an integer and a shift: factor ≈ integer / 2^shift."""
    shift = min(MOST_SHIFT, BITS - math.ceil(math.log2(max(factor, 1e-12))))
    if shift < 1:
        raise OverflowError(f"a factor of {factor} has no multiplier")
    return round(factor * 2.0**shift), shift


def multipliers(factors: Tensor | Sequence[float]) -> tuple[Tensor, int]:
    """Factors as int32 and a common shift."""
    values = torch.as_tensor(factors, dtype=torch.float64)
    shift = multiplier(float(values.abs().max()))[1]
    return torch.round(values * 2.0**shift).to(torch.int32), shift


def scale_axes(name: str) -> int:
    """First axes of the weight `name` whose parts have scales of their own."""
    return 2 if name in ("row", "column") else 1


def integer_weight(values: Tensor, axes: int = 1) -> tuple[Tensor, Tensor]:
    """Weights as int8, symmetric, and the scales of each of their first `axes` axes' parts."""
    flat = values.detach().double().flatten(axes)
    scale = flat.abs().amax(-1).clamp_min(1e-8) / 127
    quantised = torch.round(flat / scale.unsqueeze(-1)).clamp(-127, 127)
    return quantised.reshape(values.shape).to(torch.int8), scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What is known of a layer's sums: the value of 1, (applications or 1, channels), their bound, the largest seen.

    `inputs` are the tensors summed, one an application or one for all; `largest` is that of values behind the stage's
    shift, or of a residual.
    """

    unit: Tensor
    bound: Tensor
    largest: float
    inputs: tuple[Quantisation, ...]


def integer_stage(
    stage: Stage,
    sums: Sums,
    kept: Sequence[Quantisation],
    added: Sequence[Quantisation] = (),
) -> IntegerStage:
    """The integers of a stage.

    Args:
        stage: in floating point.
        sums: what it works on.
        kept: how its results are kept, one an application.
        added: the residuals, one an application.
    """
    real = sums.unit if stage.scale is None else sums.unit * stage.scale.double()
    shift = None if stage.shift is None else stage.shift.double()
    worst = float((real.abs() * sums.bound).max()) + (0.0 if shift is None else float(shift.abs().max()))
    worst += max((255 * x.scale for x in added), default=0.0)
    most = 20 if stage.activation in ("silu", "hardswish", "sigmoid") else 28  # tables and 6 have to fit
    fraction = min(most, math.floor(24 - math.log2(max(sums.largest, 1e-6))), math.floor(29 - math.log2(worst + 1e-9)))
    factors, right = multipliers(real * 2.0**fraction)
    add, add_shift = multipliers([x.scale * 2.0**fraction for x in added]) if added else (torch.zeros(1), 1)
    keep, keep_shift = multipliers([2.0**-fraction / q.scale for q in kept])
    return IntegerStage(
        multiplier=factors,
        bias=None if shift is None else torch.round(shift * 2.0**fraction).to(torch.int32),
        slope=None if stage.slope is None else torch.round(stage.slope.detach() * 2.0**16).to(torch.int32),
        activation=stage.activation,
        shift=right,
        fraction=fraction,
        in_zero=tuple(q.zero for q in sums.inputs),
        add=tuple(map(int, add)),
        add_shift=add_shift,
        add_zero=tuple(q.zero for q in added) or (0,),
        keep=tuple(map(int, keep)),
        keep_shift=keep_shift,
        zero=tuple(q.zero for q in kept),
    )


def kept_stage(factors: Sequence[float], inputs: Sequence[Quantisation], kept: Sequence[Quantisation]) -> IntegerStage:
    """A stage that only keeps: each factor is the value of 1 in its sums, over the kept scale."""
    keep, shift = multipliers([factor / q.scale for factor, q in zip(factors, kept, strict=True)])
    return IntegerStage(
        in_zero=tuple(q.zero for q in inputs),
        keep=tuple(map(int, keep)),
        keep_shift=shift,
        zero=tuple(q.zero for q in kept),
    )
