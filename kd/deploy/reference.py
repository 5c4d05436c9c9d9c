"""The arithmetic of quantised programs, to the bit: C follows it.

Integers are int64 tensors here. No value that C keeps in 32 bits leaves them: multipliers are chosen so.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kd.deploy import program as ops
from kd.deploy.integers import IntegerProgram, IntegerStage, Quantised
from kd.deploy.reference_cells import scan
from kd.deploy.tables import scaled, sigmoid
from space.blocks.base import Shape, as_maps

EXACT_IN_FLOAT = 2**24
"""Below it float32 holds every integer, so that sums are exact in any order."""


@torch.no_grad()
def answer(program: IntegerProgram, samples: Tensor) -> tuple[Tensor, Tensor]:
    """The most likely classes, int64 (n,), and logits, int8 (n, classes), of a `kd.data.dataset.Split`'s samples."""
    parts = [_answer(program, part) for part in samples.split(25)]
    answers, logits = zip(*parts, strict=True)
    return torch.cat(answers), torch.cat(logits)


def _answer(program: IntegerProgram, samples: Tensor) -> tuple[Tensor, Tensor]:
    x = quantised_input(program, samples)
    *body, classifier = program.operations
    for quantised in body:
        x = _apply(quantised, _as_source(quantised.operation.source, x))
    stage, weight = classifier.stages["sums"], classifier.weights["weight"].flatten(1)
    x = _as_source(classifier.operation.source, x).flatten(1) - stage.in_zero[0]
    wide = fixed(stage, x @ weight.long().T)
    # the first of equals, as C finds it
    return (wide == wide.amax(1, keepdim=True)).int().argmax(1), keep(stage, wide).to(torch.int8)


def quantised_input(program: IntegerProgram, samples: Tensor) -> Tensor:
    """Samples as int8 values in int64, (batch, channels, height, width)."""
    made, maps = program.input, as_maps(samples.float())
    if program.program.sequences:
        ends = 2.0**20
        numbers = (maps - made.mean[:, None, None]) * made.factor[:, None, None]
        cut = torch.trunc(numbers.clamp(-ends, ends)).long()
        return ((cut + 128 >> 8) + made.quantisation.zero).clamp(-128, 127)
    return (scaled(maps.long(), made.multiplier[:, None, None], made.shift) + made.bias[:, None, None]).clamp(-128, 127)


def _as_source(source: Shape, x: Tensor) -> Tensor:
    if x.shape[1:] == source:
        return x
    channels, height, width = source
    return x.permute(0, 2, 3, 1).reshape(len(x), height, width, channels).permute(0, 3, 1, 2)


def fixed(stage: IntegerStage, sums: Tensor, application: int = 0) -> Tensor:
    """Fixed-point numbers of sums (batch, channels, …): multiply, add, activation."""
    x, shape = sums, (-1, *[1] * (sums.ndim - 2))
    if stage.multiplier is not None:
        row = stage.multiplier[min(application, len(stage.multiplier) - 1)]
        x = scaled(x, row.reshape(shape), stage.shift)
    if stage.bias is not None and (len(stage.bias) > 1 or application == stage.applications - 1):
        x = x + stage.bias[min(application, len(stage.bias) - 1)].long().reshape(shape)
    return activate(stage, x, None if stage.slope is None else stage.slope.reshape(shape))


def activate(stage: IntegerStage, x: Tensor, slope: Tensor | None = None) -> Tensor:
    """The activation of fixed-point numbers; slopes have x's dimensions."""
    bits = stage.fraction
    match stage.activation:
        case "none":
            return x
        case "relu":
            return x.clamp_min(0)
        case "leaky_relu":
            return torch.where(x < 0, scaled(x, 6554, 16), x)
        case "prelu":
            assert slope is not None
            return torch.where(x < 0, scaled(x, slope, 16), x)
        case "silu":
            return scaled(x, sigmoid(x, bits), 15)
        case "hardswish":
            gate = scaled((x + (3 << bits)).clamp(0, 6 << bits), 10923, 16)
            return scaled(x, gate, bits)
        case "sigmoid":
            return sigmoid(x, bits) << bits >> 15
    raise TypeError(stage.activation)


def keep(stage: IntegerStage, x: Tensor, application: int = 0, bits: int = 8) -> Tensor:
    """Fixed-point numbers as they are kept, in 8 or 16 bits."""
    factor, zero = _of(stage.keep, application), _of(stage.zero, application)
    return (scaled(x, factor, stage.keep_shift) + zero).clamp(-(1 << bits - 1), (1 << bits - 1) - 1)


def residual(stage: IntegerStage, x: Tensor, application: int = 0) -> Tensor:
    """A kept tensor as fixed-point numbers of a stage."""
    return scaled(x - _of(stage.add_zero, application), _of(stage.add, application), stage.add_shift)


def _of(numbers: tuple[int, ...], application: int) -> int:
    return numbers[min(application, len(numbers) - 1)]


def less_zero(stage: IntegerStage, x: Tensor, application: int = 0) -> Tensor:
    """Kept values less the zero of a stage's inputs."""
    return x - _of(stage.in_zero, application)


def _convolve(window: ops.Window, weight: Tensor, x: Tensor, groups: int = 1) -> Tensor:
    """Exact sums of products, in whichever floating point holds them all."""
    most = float(weight.double().abs().flatten(1).sum(1).max()) * 255
    kind = torch.float32 if most < EXACT_IN_FLOAT else torch.float64
    found = functional.conv2d(x.to(kind), weight.to(kind), stride=window.stride, padding=window.padding, groups=groups)
    return found.long()


def _apply(quantised: Quantised, x: Tensor) -> Tensor:
    match quantised.operation:
        case ops.Convolution() as op:
            return _convolution(op, quantised, x)
        case ops.Separable() as op:
            return _separable(op, quantised, x)
        case ops.Inverted() as op:
            return _inverted(op, quantised, x)
        case ops.Pool(mode="max", window=window):
            return functional.max_pool2d(x.float(), window).long()
        case ops.Pool(window=window):
            count = window[0] * window[1]
            sums = torch.round(functional.avg_pool2d(x.float(), window) * count).long()
            return sums + count // 2 >> count // 2
        case ops.GlobalAverage():
            stage = quantised.stages["out"]
            return keep(stage, less_zero(stage, x).sum((2, 3), keepdim=True))
        case ops.Gates():
            return _gates(quantised, x)
        case ops.RowColumn() as op:
            return _row_column(op, quantised, x)
        case ops.Mixer() as op:
            y = x.flatten(2)
            for application in range(op.applications):
                y = _mix(quantised, "token", y, application)
                y = _mix(quantised, "channel", y.transpose(1, 2), application).transpose(1, 2)
            return y.reshape(x.shape)
        case ops.Scan() as op:
            return scan(op, quantised, x)
    raise TypeError(type(quantised.operation).__name__)


def _convolution(op: ops.Convolution, quantised: Quantised, x: Tensor) -> Tensor:
    stage, weight = quantised.stages["sums"], quantised.weights["weight"]
    for application in range(op.applications):
        y = fixed(stage, _convolve(op.window, weight, less_zero(stage, x, application)), application)
        if op.combine == "add":
            y = y + residual(stage, x, application)
        elif op.combine == "liquid":
            reversal, rate = (quantised.vectors[name].long()[:, None, None] for name in ("reversal", "rate"))
            y = liquid_step(residual(stage, x, application), y, reversal, rate, stage.fraction)
        x = keep(stage, y, application)
    return x


def liquid_step(state: Tensor, gate: Tensor, reversal: Tensor, rate: Tensor, fraction: int) -> Tensor:
    """(x + g·A) / (1 + 1/τ + g), all with `fraction` bits behind the point; the quotient is cut off towards 0."""
    numerator = state + scaled(gate, reversal, fraction)
    return torch.div(numerator << fraction, rate + gate, rounding_mode="trunc")


def _separable(op: ops.Separable, quantised: Quantised, x: Tensor) -> Tensor:
    middle, stage = quantised.stages["middle"], quantised.stages["sums"]
    depthwise, pointwise = quantised.weights["depthwise"], quantised.weights["pointwise"][:, :, None, None]
    one = ops.Window(kernel=(1, 1))
    for application in range(op.applications):
        inside = less_zero(middle, x, application)
        y = fixed(middle, _convolve(op.window, depthwise, inside, op.source[0]), application)
        y = less_zero(stage, keep(middle, y, application), application)
        y = fixed(stage, _convolve(one, pointwise, y), application)
        x = keep(stage, y + residual(stage, x, application) if op.combine == "add" else y, application)
    return x


def _inverted(op: ops.Inverted, quantised: Quantised, x: Tensor) -> Tensor:
    one, weights, stages = ops.Window(kernel=(1, 1)), quantised.weights, quantised.stages
    first, second, last = stages["expand"], stages["depthwise"], stages["sums"]
    wide = len(op.expand), *op.source[1:]
    for application in range(op.applications):
        y = _convolve(one, weights["expand"][:, :, None, None], less_zero(first, x, application))
        y = less_zero(second, keep(first, fixed(first, y, application), application), application)
        y = _convolve(op.window, weights["depthwise"], y, wide[0])
        y = less_zero(last, keep(second, fixed(second, y, application), application), application)
        y = _convolve(one, weights["project"][:, :, None, None], y)
        x = keep(last, fixed(last, y, application) + residual(last, x, application), application)
    return x


def _gates(quantised: Quantised, x: Tensor) -> Tensor:
    mean, squeeze, excite, out = (quantised.stages[name] for name in ("mean", "squeeze", "excite", "out"))
    y = keep(mean, less_zero(mean, x).sum((2, 3)), bits=16)
    y = keep(squeeze, fixed(squeeze, y @ quantised.weights["squeeze"].long().T), bits=16)
    y = keep(excite, fixed(excite, y @ quantised.weights["excite"].long().T), bits=16)
    return keep(out, less_zero(out, x) * y[:, :, None, None])


def _row_column(op: ops.RowColumn, quantised: Quantised, x: Tensor) -> Tensor:
    first, stage = quantised.stages["column"], quantised.stages["sums"]
    column, row = quantised.weights["column"].double(), quantised.weights["row"].double()
    channels, _, columns = op.target
    y = less_zero(first, x).double().repeat_interleave(channels // op.source[0], 1) @ column.transpose(1, 2)
    assert first.multiplier is not None
    factors = first.multiplier.reshape(-1, 1, columns)
    y = scaled(y.long(), factors, first.shift).clamp(-(1 << 15), (1 << 15) - 1)
    y = (row @ y.double()).long()
    assert stage.multiplier is not None and stage.bias is not None
    y = scaled(y, stage.multiplier.reshape(op.target), stage.shift) + stage.bias.reshape(op.target)
    y = activate(stage, y, None if stage.slope is None else stage.slope[:, None, None])
    return keep(stage, y + residual(stage, x) if op.residual else y)


def _mix(quantised: Quantised, name: str, y: Tensor, application: int) -> Tensor:
    """Mix the last axis of (batch, channels, tokens), or of (batch, tokens, channels)."""
    first, second = quantised.stages[f"{name} first"], quantised.stages[f"{name} second"]
    vector, tokens = y, name == "token"
    if norm := quantised.stages.get(f"{name} norm"):
        vector = vector if tokens else vector.transpose(1, 2)
        vector = keep(norm, fixed(norm, less_zero(norm, vector, application), application), application)
        vector = vector if tokens else vector.transpose(1, 2)
    sums = less_zero(first, vector) @ quantised.weights[f"{name} first"].long().T
    assert first.multiplier is not None and first.bias is not None
    x = scaled(sums, first.multiplier[0], first.shift) + first.bias[0]
    slope = None if first.slope is None else (first.slope[:, None] if tokens else first.slope)
    x = less_zero(second, keep(first, activate(first, x, slope))) @ quantised.weights[f"{name} second"].long().T
    assert second.multiplier is not None and second.bias is not None
    x = scaled(x, second.multiplier[0], second.shift) + second.bias[0]
    return keep(second, x + residual(second, y, application), application)
