"""The arithmetic of liquid cells in integers."""

from collections.abc import Callable

import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.integers import Quantised
from kd.deploy.quantize_cells import FRACTION
from kd.deploy.tables import scaled, sigmoid, tanh

LIMITS = -(1 << 15), (1 << 15) - 1
Step = Callable[[Tensor, Tensor], Tensor]


def scan(op: ops.Scan, quantised: Quantised, x: Tensor) -> Tensor:
    """Read maps of int8 values (batch, channels, height, width) step by step."""
    maps = x.permute(0, 2, 3, 1)
    steps = (maps.transpose(1, 2) if op.axis == "columns" else maps).reshape(len(x), op.steps, -1)
    out, found = quantised.stages["out"], []
    for number, cell in enumerate(op.cells):
        step = (
            _closed_form(quantised, number)
            if isinstance(cell, ops.ClosedForm)
            else _time_constant(quantised, number, cell.unfolds)
        )
        state = total = torch.zeros(len(x), op.hidden, dtype=torch.int64)
        for time in range(op.steps) if number == 0 else reversed(range(op.steps)):
            state = step(steps[:, time], state)
            total = total + state
        found.append(total if op.mean else state)
    kept = scaled(torch.cat(found, 1), out.keep[0], out.keep_shift) + out.zero[0]
    return kept.clamp(-128, 127)[:, :, None, None]


def _closed_form(quantised: Quantised, number: int) -> Step:
    first, second = quantised.stages[f"input {number}"], quantised.stages[f"recurrent {number}"]
    inputs, recurrent = (quantised.weights[f"{name} {number}"].long() for name in ("input", "recurrent"))
    assert first.multiplier is not None and second.multiplier is not None and first.bias is not None
    of_input, of_state, bias = first.multiplier[0], second.multiplier[0], first.bias[0]

    def step(x: Tensor, state: Tensor) -> Tensor:
        sums = scaled((x - first.in_zero[0]) @ inputs.T, of_input, first.shift) + bias
        sums = sums + scaled(state @ recurrent.T, of_state, second.shift)
        one, other, time = sums.chunk(3, 1)
        gate = sigmoid(time, FRACTION)
        rounded = tanh(one, FRACTION) * ((1 << 15) - gate) + (1 << 17) >> 18
        return rounded + (tanh(other, FRACTION) * gate + (1 << 17) >> 18)

    return step


def _time_constant(quantised: Quantised, number: int, unfolds: int) -> Step:
    def vector(name: str) -> Tensor:
        return quantised.vectors[f"{name} {number}"].long()

    def value(name: str) -> int:
        return quantised.numbers[f"{name} {number}"]

    def currents(name: str, source: Tensor) -> tuple[Tensor, Tensor]:
        """Numerator's and denominator's share of all synapses from (batch, sources)."""
        steepness, offset, conductance, drive = quantised.weights[f"{name} {number}"].long().unbind(-1)
        sums = steepness * source[:, None, :] - (offset << value(f"{name} left"))
        argument = scaled(sums, vector(f"{name} argument")[:, None], value(f"{name} argument"))
        gate = sigmoid(argument, FRACTION) >> 15 - FRACTION
        shares = ((gate * part).sum(-1) for part in (drive, conductance))
        top, bottom = (
            scaled(share, vector(f"{name} {part}"), value(f"{name} {part}"))
            for share, part in zip(shares, ("drive", "conductance"), strict=True)
        )
        return top, bottom

    stage, capacity, leak, rest = (
        quantised.stages[f"scale {number}"],
        vector("capacity"),
        vector("leak"),
        vector("rest"),
    )
    assert stage.multiplier is not None and stage.bias is not None
    factors, shift, bits = stage.multiplier[0], stage.bias[0], value("state")

    def step(x: Tensor, state: Tensor) -> Tensor:
        source = (scaled(x - stage.in_zero[0], factors, stage.shift) + shift).clamp(*LIMITS)
        drive, conductance = currents("sensory", source)
        for _ in range(unfolds):
            inner = currents("recurrent", state)
            numerator = scaled(state, capacity, bits) + rest + inner[0] + drive
            denominator = capacity + leak + inner[1] + conductance
            state = torch.div(numerator << bits, denominator, rounding_mode="trunc").clamp(*LIMITS)
        return state

    return step
