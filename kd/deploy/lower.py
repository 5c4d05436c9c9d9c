"""From a trained student to its program: batch norms folded where weights are applied once."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from kd.deploy import program as ops
from kd.deploy.lower_cells import lower_cell
from kd.deploy.program import Program, Stage, Window
from kd.students.file import TrainedStudent
from space.blocks import base, convolution, depthwise, liquid, mlp
from space.blocks.base import Activation, Shape


@torch.no_grad()
def lower(student: TrainedStudent) -> Program:
    """The program of a student, in float32, on the CPU."""
    architecture, module = student.architecture, student.module
    shapes = architecture.shapes()
    channels = shapes[0][0]
    mean, std = (torch.tensor(values).expand(channels).double() for values in (student.mean, student.std))
    unit = 1 if len(architecture.shape) == 2 else 255
    operations: list[ops.AnyOperation] = []
    for block, part, source, target in zip(architecture.blocks, module.blocks, shapes, shapes[1:], strict=False):
        operations += _lowered(block, part, source, target)
    classifier, last = module.classifier, shapes[-1]
    operations.append(_dense(classifier.weight, last, Stage(scale=None, shift=classifier.bias[None])))
    return Program(
        shape=architecture.shape,
        scale=(1 / (unit * std)).float(),
        shift=(-mean / std).float(),
        operations=tuple(operations),
    ).map(lambda tensor: tensor.detach().float().contiguous().clone())


def _lowered(block: base.Block, part: Any, source: Shape, target: Shape) -> list[ops.AnyOperation]:
    """Operations of one block: none for one that leaves the activations in memory as they are."""
    match block, part:
        case ((convolution.Convolution() | mlp.Patches() | depthwise.Separable()), nn.Sequential()):
            return [_layer(part, source, target)]
        case convolution.ResidualConvolution(activation=kind), convolution.Tied(body=nn.Conv2d() as body):
            stage, weight = _tied(part.norms, body.weight, kind, part.activation)
            return [_convolution(body, weight, source, source, stage, applications=block.repeats, combine="add")]
        case depthwise.ResidualSeparable(activation=kind), convolution.Tied(body=nn.Sequential() as body):
            first, last = body
            assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
            stage, weight = _tied(part.norms, last.weight, kind, part.activation)
            return [_separable(first, weight, source, source, stage, applications=block.repeats, combine="add")]
        case depthwise.InvertedResidual(activation=kind), depthwise.TiedInverted():
            return [_inverted(part, source, kind)]
        case depthwise.SqueezeExcite(activation=kind), depthwise.Gates():
            return [_gates(part, source, kind)]
        case convolution.Pool(mode=mode), _:
            return [ops.Pool(source=source, target=target, mode=mode, window=(min(2, source[1]), min(2, source[2])))]
        case convolution.GlobalAverage(), _:
            return [ops.GlobalAverage(source=source, target=target)]
        case mlp.Dense(activation=kind), mlp.FlatDense():
            stage, weight = _tied([part.norm], part.linear.weight, kind, part.activation)
            return [_dense(weight, source, stage)]
        case mlp.Bilinear(activation=kind), mlp.RowColumn():
            return [_row_column(part, source, target, kind)]
        case mlp.Matrix(), _:
            return []
        case mlp.Mixer(activation=kind), mlp.TiedMixer():
            return [_mixer(part, source, kind)]
        case liquid.LiquidScan(axis=axis, readout=readout), liquid.Scan():
            cells = tuple(lower_cell(cell, source, axis) for cell in part.cells)
            return [ops.Scan(source=source, target=target, axis=axis, mean=readout == "mean", cells=cells)]
        case liquid.LiquidConvolution(), liquid.LiquidMaps():
            stage, weight = _tied(part.norms, part.synapse.weight, "sigmoid", None)
            reversal, rate = part.reversal.flatten(), 1 + functional.softplus(part.rate).flatten()
            done = _convolution(part.synapse, weight, source, source, stage, applications=block.unfolds)
            return [replace(done, combine="liquid", reversal=reversal, rate=rate)]
    raise TypeError(f"no lowering for {block.kind}")


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and shift of a batch norm in evaluation, in float64."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = 0.0 if norm.bias is None else norm.bias.double()
    return scale, bias - norm.running_mean.double() * scale


def _slope(activation: nn.Module | None) -> Tensor | None:
    return activation.weight if isinstance(activation, nn.PReLU) else None


def _tied(
    norms: nn.ModuleList | list[nn.Module], weight: Tensor, kind: ops.Nonlinearity, activation: nn.Module | None
) -> tuple[Stage, Tensor]:
    """The stage behind a weight (out, …), and the weight, which takes up the scale of a single norm."""
    scales, shifts = zip(*map(_affine, norms), strict=True)
    slope = _slope(activation)
    if len(scales) > 1:
        return Stage(scale=torch.stack(scales), shift=torch.stack(shifts), activation=kind, slope=slope), weight
    folded = weight.double() * scales[0].reshape(-1, *[1] * (weight.ndim - 1))
    return Stage(scale=None, shift=shifts[0][None], activation=kind, slope=slope), folded


def _window(layer: nn.Conv2d) -> Window:
    height, width = layer.kernel_size
    assert not isinstance(layer.padding, str)
    return Window(
        kernel=(height, width), stride=(layer.stride[0], layer.stride[1]), padding=(layer.padding[0], layer.padding[1])
    )


def _convolution(
    layer: nn.Conv2d,
    weight: Tensor,
    source: Shape,
    target: Shape,
    stage: Stage,
    applications: int = 1,
    combine: ops.Combine = "replace",
) -> ops.Convolution:
    return ops.Convolution(
        source=source,
        target=target,
        window=_window(layer),
        weight=weight,
        stage=stage,
        combine=combine,
        applications=applications,
    )


def _separable(
    layer: nn.Conv2d,
    pointwise: Tensor,
    source: Shape,
    target: Shape,
    stage: Stage,
    applications: int = 1,
    combine: ops.Combine = "replace",
) -> ops.Separable:
    return ops.Separable(
        source=source,
        target=target,
        window=_window(layer),
        depthwise=layer.weight,
        pointwise=pointwise.flatten(1),
        stage=stage,
        combine=combine,
        applications=applications,
    )


def _layer(part: nn.Sequential, source: Shape, target: Shape) -> ops.AnyOperation:
    """One or two convolutions, a norm, and, but for patches, an activation."""
    layers = list(part)
    activation = None if isinstance(layers[-1], base.ScalingNorm) else layers.pop()
    norm, last = layers.pop(), layers[-1]
    assert isinstance(last, nn.Conv2d) and isinstance(layers[0], nn.Conv2d)
    stage, weight = _tied([norm], last.weight, _kind(activation), activation)
    if len(layers) == 2:
        return _separable(layers[0], weight, source, target, stage)
    return _convolution(last, weight, source, target, stage)


def _kind(activation: nn.Module | None) -> ops.Nonlinearity:
    kinds: dict[type, Activation] = {
        nn.ReLU: "relu",
        nn.LeakyReLU: "leaky_relu",
        nn.PReLU: "prelu",
        nn.SiLU: "silu",
        nn.Hardswish: "hardswish",
    }
    return "none" if activation is None else kinds[type(activation)]


def _dense(weight: Tensor, source: Shape, stage: Stage) -> ops.Convolution:
    """A layer over all features of a sample: its kernel is all of the input."""
    return ops.Convolution(
        source=source,
        target=(len(weight), 1, 1),
        window=Window(kernel=source[1:], stride=source[1:]),
        weight=weight.reshape(len(weight), *source),
        stage=stage,
    )


def _inverted(part: Any, source: Shape, kind: Activation) -> ops.Inverted:
    """What a projection's norm shifts by is left out of the state: the next expansion adds it, or the last shift."""
    applications = len(part.expand_norms)
    expand_stage, expand = _tied(part.expand_norms, part.expand.weight.flatten(1), kind, part.first)
    depthwise_stage, kernel = _tied(part.depthwise_norms, part.depthwise.weight, kind, part.second)
    project_stage, project = _tied(part.project_norms, part.project.weight.flatten(1), "none", None)
    if applications > 1:
        assert project_stage.shift is not None and expand_stage.shift is not None and expand_stage.scale is not None
        missing = project_stage.shift.cumsum(0)
        late = missing[:-1] @ expand.double().T * expand_stage.scale[1:]
        shift = torch.cat([expand_stage.shift[:1], expand_stage.shift[1:] + late])
        expand_stage = replace(expand_stage, shift=shift)
        project_stage = replace(project_stage, shift=missing[-1:])
    return ops.Inverted(
        source=source,
        target=source,
        window=_window(part.depthwise),
        expand=expand,
        depthwise=kernel,
        project=project,
        expand_stage=expand_stage,
        depthwise_stage=depthwise_stage,
        project_stage=project_stage,
        applications=applications,
    )


def _gates(part: Any, source: Shape, kind: Activation) -> ops.Gates:
    return ops.Gates(
        source=source,
        target=source,
        squeeze=part.squeeze.weight,
        squeeze_stage=_biased(part.squeeze.bias, kind, part.activation),
        excite=part.excite.weight,
        excite_stage=_biased(part.excite.bias, "sigmoid"),
    )


def _biased(bias: Tensor | None, kind: ops.Nonlinearity = "none", activation: nn.Module | None = None) -> Stage:
    assert bias is not None
    return Stage(scale=None, shift=bias[None], activation=kind, slope=_slope(activation))


def _row_column(part: mlp.RowColumn, source: Shape, target: Shape, kind: Activation) -> ops.RowColumn:
    scale, shift = _affine(part.norm)
    row: Tensor = part.row_factor
    column: Tensor = part.column_factor
    if row.ndim == 3:  # (channels, heads·rows, height) and (channels, width, heads·columns)
        row = row.reshape(-1, target[1], source[1])
        column = column.unflatten(2, (-1, target[2])).transpose(1, 2).flatten(0, 1)
    else:
        row, column = row[None], column[None]
    stage = Stage(scale=scale[None], shift=shift[None], activation=kind, slope=_slope(part.activation))
    return ops.RowColumn(source=source, target=target, row=row, column=column, stage=stage, residual=part.residual)


def _mixer(part: Any, source: Shape, kind: Activation) -> ops.Mixer:
    token_first, token_act, token_second = part.token_mixing
    first, act, second = part.channel_mixing
    norms = [_affine(norm) for norm in part.channel_norms]
    weight, bias = first.weight.flatten(1).double(), first.bias.double()
    norm = None
    if len(norms) == 1:
        scale, shift = norms[0]
        weight, bias = weight * scale, bias + weight @ shift
    else:
        norm = _stacked(norms)
    token = ops.Mixing(
        norm=_stacked([_affine(norm) for norm in part.token_norms]),
        first=token_first.weight,
        first_stage=_biased(token_first.bias, kind, token_act),
        second=token_second.weight,
        second_stage=_biased(token_second.bias),
    )
    channel = ops.Mixing(
        norm=norm,
        first=weight,
        first_stage=_biased(bias, kind, act),
        second=second.weight.flatten(1),
        second_stage=_biased(second.bias),
    )
    return ops.Mixer(source=source, target=source, token=token, channel=channel, applications=len(norms))


def _stacked(norms: list[tuple[Tensor, Tensor]]) -> Stage:
    scales, shifts = zip(*norms, strict=True)
    return Stage(scale=torch.stack(scales), shift=torch.stack(shifts))
