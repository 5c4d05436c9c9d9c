"""Liquid cells in integers: states in 16 bits, synapses in 8."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.integers import (
    IntegerStage,
    Quantisation,
    Quantised,
    integer_weight,
    kept_stage,
    multipliers,
)

FRACTION = 12
"""Bits behind the point of gates' arguments, of gates, and of the states of a CfC, which stay within -1 and 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cell:
    """Constants of one cell."""

    weights: dict[str, Tensor]
    stages: dict[str, IntegerStage]
    vectors: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, int]


def quantised_scan(op: ops.Scan, before: Quantisation, after: Quantisation, largest: float) -> Quantised:
    """A scan; `largest` is the largest magnitude of a state."""
    cells = [
        _closed_form(cell, before) if isinstance(cell, ops.ClosedForm) else _time_constant(cell, before, largest)
        for cell in op.cells
    ]
    state = 2.0 ** -(cells[0].numbers["state"])
    factor = state / op.steps if op.mean else state
    weights: dict[str, Tensor] = {}
    vectors: dict[str, Tensor] = {}
    stages: dict[str, IntegerStage] = {}
    numbers: dict[str, int] = {}
    for number, cell in enumerate(cells):
        weights |= {f"{name} {number}": values for name, values in cell.weights.items()}
        vectors |= {f"{name} {number}": values for name, values in cell.vectors.items()}
        stages |= {f"{name} {number}": stage for name, stage in cell.stages.items()}
        numbers |= {f"{name} {number}": value for name, value in cell.numbers.items()}
    stages["out"] = kept_stage([factor], [Quantisation(scale=1.0)], [after])
    return Quantised(operation=op, weights=weights, stages=stages, vectors=vectors, numbers=numbers)


@torch.no_grad()
def _closed_form(cell: ops.ClosedForm, before: Quantisation) -> _Cell:
    """Sums of inputs and of states to arguments of tanh and σ, each by its own stage; the first adds the bias."""
    inputs, scale = integer_weight(cell.input)
    first, shift = multipliers(before.scale * scale[None] * 2.0**FRACTION)
    recurrent, of_states = integer_weight(cell.recurrent)
    second, right = multipliers(of_states[None])  # 2^-12 a state, 2^12 an argument
    bias = torch.round(cell.bias.double() * 2.0**FRACTION).to(torch.int32)[None]
    stages = {
        "input": IntegerStage(multiplier=first, bias=bias, shift=shift, fraction=FRACTION, in_zero=(before.zero,)),
        "recurrent": IntegerStage(multiplier=second, shift=right, fraction=FRACTION),
    }
    return _Cell(weights={"input": inputs, "recurrent": recurrent}, stages=stages, numbers={"state": FRACTION})


@torch.no_grad()
def _time_constant(cell: ops.TimeConstant, before: Quantisation, largest: float) -> _Cell:
    """Inputs and states in 16 bits, numerators and denominators with `fraction` bits behind the point.

    Of each synapse there are steepness, offset (shifted left by `left`), conductance and drive, all with the scales of
    its target, (hidden, sources, 4).
    """
    ends = [(end - before.zero) * before.scale for end in (-128, 127)]
    widest = max(float((cell.scale * end + cell.shift).abs().max()) for end in ends)
    inputs, states = (_fitting(value) for value in (widest, largest))
    total = cell.capacity + cell.leak + sum(part.conductance.abs().sum(0) for part in (cell.sensory, cell.recurrent))
    drives = sum((part.drive.abs().sum(0) for part in (cell.sensory, cell.recurrent)), cell.rest.abs())
    most = max(float(total.max()), float((drives + cell.capacity * 2.0 ** (14 - states)).max()))
    fraction = math.floor(26 - math.log2(most))
    factors, shift = multipliers((cell.scale * before.scale * 2.0**inputs).double()[None])
    stage = IntegerStage(
        multiplier=factors,
        bias=torch.round(cell.shift.double() * 2.0**inputs).to(torch.int32)[None],
        shift=shift,
        fraction=inputs,
        in_zero=(before.zero,),
    )
    weights: dict[str, Tensor] = {}
    vectors: dict[str, Tensor] = {
        name: torch.round(values.double() * 2.0**fraction).to(torch.int32)
        for name, values in (("capacity", cell.capacity), ("leak", cell.leak), ("rest", cell.rest))
    }
    vectors["leak"].clamp_min_(1)  # a denominator is never 0
    numbers = {"state": states, "fraction": fraction}
    for name, synapses, bits in (("sensory", cell.sensory, inputs), ("recurrent", cell.recurrent, states)):
        weights[name], found, extra = _synapses(synapses, bits, fraction)
        vectors |= {f"{name} {part}": values for part, values in found.items()}
        numbers |= {f"{name} {part}": value for part, value in extra.items()}
    return _Cell(weights=weights, stages={"scale": stage}, vectors=vectors, numbers=numbers)


def _synapses(of: ops.Synapses, bits: int, fraction: int) -> tuple[Tensor, dict[str, Tensor], dict[str, int]]:
    """Weights of synapses whose sources have `bits` behind the point, multipliers of their targets, and shifts."""
    steepness, steep = integer_weight(of.steepness.T)
    offsets = of.offset.T.double() * 2.0**bits / steep[:, None]  # in units of the product of a steepness and a source
    left = min(23, max(0, math.ceil(math.log2(max(float(offsets.abs().max()) / 127, 1e-9)))))
    offset = torch.round(offsets / 2.0**left).clamp(-127, 127).to(torch.int8)
    conductance, conducts = integer_weight(of.conductance.T)
    drive, drives = integer_weight(of.drive.T)
    # an argument has FRACTION bits, a gate as many: its products lead to numerator and denominator
    argument, argument_shift = multipliers(steep * 2.0 ** (FRACTION - bits))
    vectors, numbers = {"argument": argument}, {"left": left, "argument": argument_shift}
    for name, scale in (("conductance", conducts), ("drive", drives)):
        vectors[name], numbers[name] = multipliers(scale * 2.0 ** (fraction - FRACTION))
    return torch.stack([steepness, offset, conductance, drive], dim=-1), vectors, numbers


def _fitting(largest: float) -> int:
    """Bits behind the point, so that values fit in 15 bits."""
    return min(FRACTION, math.floor(14 - math.log2(max(largest, 1e-6))))
