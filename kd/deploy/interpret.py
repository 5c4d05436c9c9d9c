"""Programs computed in PyTorch, with gradients: what quantisation is calibrated and fine-tuned on."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from kd.deploy import program as ops
from kd.deploy.program import Program, Stage
from space.blocks.base import as_maps
from space.blocks.cells import Step, read

Site = tuple[int, str, int]
"""A place where activations are kept: the operation's index, which of its results, and the application."""


class Watcher(Protocol):
    """Sees, and may change, what would be kept in few bits."""

    def activation(self, site: Site, values: Tensor) -> Tensor:
        """Activations (batch, channels, …), kept."""

    def sums(self, site: Site, values: Tensor) -> Tensor:
        """Values (batch, channels, …) behind a stage's multiply and add, never kept."""

    def weight(self, index: int, name: str, values: Tensor) -> Tensor:
        """Weights, output channels first."""

    def sigmoid(self, values: Tensor) -> Tensor:
        """Gates of values, between 0 and 1."""


class Floating:
    """A watcher that changes nothing."""

    def activation(self, site: Site, values: Tensor) -> Tensor:
        """The values."""
        return values

    def sums(self, site: Site, values: Tensor) -> Tensor:
        """The values."""
        return values

    def weight(self, index: int, name: str, values: Tensor) -> Tensor:
        """The weights."""
        return values

    def sigmoid(self, values: Tensor) -> Tensor:
        """The logistic function."""
        return torch.sigmoid(values)


def run(program: Program, samples: Tensor, watcher: Watcher | None = None) -> Tensor:
    """Logits (batch, classes) of samples as a `kd.data.dataset.Split` has them."""
    shape = (-1, 1, 1)
    x = as_maps(samples.float()) * program.scale.reshape(shape) + program.shift.reshape(shape)
    return run_normalised(program, x, watcher)


def run_normalised(program: Program, x: Tensor, watcher: Watcher | None = None) -> Tensor:
    """Logits of maps (batch, channels, height, width) that are normalised."""
    interpreter = _Interpreter(watcher or Floating())
    x = interpreter.watcher.activation((-1, "input", 0), x)
    for index, operation in enumerate(program.operations):
        interpreter.index = index
        x = interpreter.apply(operation, _as_source(operation.source, x))
    return x.flatten(1)


def _as_source(source: tuple[int, int, int], x: Tensor) -> Tensor:
    """Activations as an operation sees them: another shape is another view of memory, where channels come last."""
    if x.shape[1:] == source:
        return x
    channels, height, width = source
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], height, width, channels).permute(0, 3, 1, 2)


class _Interpreter:
    def __init__(self, watcher: Watcher) -> None:
        self.watcher, self.index = watcher, 0

    def apply(self, operation: ops.AnyOperation, x: Tensor) -> Tensor:
        match operation:
            case ops.Convolution():
                return self.convolution(operation, x)
            case ops.Separable():
                return self.separable(operation, x)
            case ops.Inverted():
                return self.inverted(operation, x)
            case ops.Pool(mode="max", window=window):
                return functional.max_pool2d(x, window)
            case ops.Pool(window=window):
                return self.keep("pool", functional.avg_pool2d(x, window))
            case ops.GlobalAverage():
                return self.keep("out", x.mean((2, 3), keepdim=True))
            case ops.Gates():
                return self.gates(operation, x)
            case ops.RowColumn():
                return self.row_column(operation, x)
            case ops.Mixer():
                return self.mixer(operation, x)
            case ops.Scan():
                return self.scan(operation, x)

    def keep(self, name: str, x: Tensor, application: int = 0) -> Tensor:
        return self.watcher.activation((self.index, name, application), x)

    def weight(self, name: str, values: Tensor) -> Tensor:
        return self.watcher.weight(self.index, name, values)

    def stage(self, stage: Stage, x: Tensor, name: str, application: int = 0, applications: int = 1) -> Tensor:
        """Multiply, add, activation on x (batch, channels, …)."""
        shape = (-1, *[1] * (x.ndim - 2))
        scale, shift = stage.at(application, applications)
        x = x if scale is None else x * scale.reshape(shape)
        x = x if shift is None else x + shift.reshape(shape)
        x = self.watcher.sums((self.index, name, application), x)
        return self.activate(stage, x)

    def activate(self, stage: Stage, x: Tensor) -> Tensor:
        """The activation of a stage on x (batch, channels, …)."""
        match stage.activation:
            case "none":
                return x
            case "relu":
                return functional.relu(x)
            case "leaky_relu":
                return functional.leaky_relu(x, 0.1)
            case "prelu":
                assert stage.slope is not None
                return functional.prelu(x, stage.slope)
            case "silu":
                return x * self.watcher.sigmoid(x)
            case "hardswish":
                return functional.hardswish(x)
            case "sigmoid":
                return self.watcher.sigmoid(x)

    def convolution(self, op: ops.Convolution, x: Tensor) -> Tensor:
        weight = self.weight("weight", op.weight)
        for application in range(op.applications):
            y = functional.conv2d(x, weight, stride=op.window.stride, padding=op.window.padding)
            y = self.stage(op.stage, y, "sums", application, op.applications)
            if op.combine == "add":
                y = x + y
            elif op.combine == "liquid":
                assert op.reversal is not None and op.rate is not None
                y = (x + y * op.reversal[:, None, None]) / (op.rate[:, None, None] + y)
            x = self.keep("out", y, application)
        return x

    def depthwise(self, window: ops.Window, kernel: Tensor, x: Tensor) -> Tensor:
        kernel = self.weight("depthwise", kernel)
        return functional.conv2d(x, kernel, stride=window.stride, padding=window.padding, groups=len(kernel))

    def separable(self, op: ops.Separable, x: Tensor) -> Tensor:
        pointwise = self.weight("pointwise", op.pointwise)[:, :, None, None]
        for application in range(op.applications):
            y = self.keep("middle", self.depthwise(op.window, op.depthwise, x), application)
            y = self.stage(op.stage, functional.conv2d(y, pointwise), "sums", application, op.applications)
            x = self.keep("out", x + y if op.combine == "add" else y, application)
        return x

    def inverted(self, op: ops.Inverted, x: Tensor) -> Tensor:
        expand, project = (self.weight(name, getattr(op, name))[:, :, None, None] for name in ("expand", "project"))
        for application in range(op.applications):
            of = application, op.applications
            y = self.stage(op.expand_stage, functional.conv2d(x, expand), "expand", *of)
            y = self.depthwise(op.window, op.depthwise, self.keep("wide", y, application))
            y = self.keep("middle", self.stage(op.depthwise_stage, y, "depthwise", *of), application)
            y = self.stage(op.project_stage, functional.conv2d(y, project), "sums", *of)
            x = self.keep("out", x + y, application)
        return x

    def gates(self, op: ops.Gates, x: Tensor) -> Tensor:
        y = self.keep("mean", x.mean((2, 3)))
        y = self.stage(op.squeeze_stage, y @ self.weight("squeeze", op.squeeze).T, "squeeze")
        y = self.stage(op.excite_stage, self.keep("hidden", y) @ self.weight("excite", op.excite).T, "excite")
        return self.keep("out", x * self.keep("gate", y)[:, :, None, None])

    def row_column(self, op: ops.RowColumn, x: Tensor) -> Tensor:
        row, column = self.weight("row", op.row), self.weight("column", op.column.transpose(1, 2)).transpose(1, 2)
        heads = 1 if len(row) == 1 else len(row) // op.source[0]
        y = self.keep("column", x.repeat_interleave(heads, 1) @ column)
        y = row @ y
        scale, shift = op.stage.at(0, 1)
        assert scale is not None and shift is not None
        y = y * scale.reshape(op.target) + shift.reshape(op.target)
        y = self.activate(op.stage, self.watcher.sums((self.index, "sums", 0), y))
        return self.keep("out", x + y if op.residual else y)

    def mixer(self, op: ops.Mixer, x: Tensor) -> Tensor:
        y = x.flatten(2)
        for application in range(op.applications):
            y = self.mixing(op.token, y, "token", application, op.applications)
            y = self.mixing(op.channel, y.transpose(1, 2), "channel", application, op.applications).transpose(1, 2)
        return y.reshape(x.shape)

    def mixing(self, mixing: ops.Mixing, y: Tensor, name: str, application: int, applications: int) -> Tensor:
        """Mix the last axis of y: (batch, channels, tokens), or (batch, tokens, channels)."""
        x, tokens = y, name == "token"
        if mixing.norm is not None:
            scale, shift = mixing.norm.at(application, applications)
            assert scale is not None and shift is not None
            x = x * scale[:, None] + shift[:, None] if tokens else x * scale + shift
            x = self.keep(f"{name} norm", x)
        first, second = mixing.first_stage.shift, mixing.second_stage.shift
        assert first is not None and second is not None
        x = x @ self.weight(f"{name} first", mixing.first).T + first
        x = self.watcher.sums((self.index, f"{name} first", 0), x)
        x = self.activate(mixing.first_stage, x if tokens else x.transpose(1, 2))
        x = self.keep(f"{name} hidden", x if tokens else x.transpose(1, 2))
        x = x @ self.weight(f"{name} second", mixing.second).T + second
        return self.keep(f"{name} out", y + self.watcher.sums((self.index, f"{name} second", 0), x), application)

    def scan(self, op: ops.Scan, x: Tensor) -> Tensor:
        steps = _steps(op, x)
        states = []
        for number, cell in enumerate(op.cells):
            sequence = steps if number == 0 else steps.flip(1)
            if isinstance(cell, ops.ClosedForm):
                step, inputs = self.closed_form(cell, sequence, number)
            else:
                step, inputs = self.time_constant(cell, sequence)
            states.append(read(step, x.new_zeros(x.shape[0], op.hidden), inputs, op.mean))
        return self.keep("out", torch.cat(states, 1)[:, :, None, None])

    def closed_form(self, cell: ops.ClosedForm, sequence: Tensor, number: int) -> tuple[Step, tuple[Tensor, ...]]:
        """What makes a step, and what of the inputs it takes."""
        inputs = self.weight(f"input {number}", cell.input)
        recurrent = self.weight(f"recurrent {number}", cell.recurrent)

        def step(state: Tensor, drives: tuple[Tensor, ...]) -> Tensor:
            sums = drives[0] + state @ recurrent.T
            first, second, time = self.watcher.sums((self.index, "sums", 0), sums).chunk(3, 1)
            gate = self.watcher.sigmoid(time)
            return self.keep("state", self.tanh(first) * (1 - gate) + gate * self.tanh(second))

        return step, (sequence @ inputs.T + cell.bias,)

    def tanh(self, x: Tensor) -> Tensor:
        return 2 * self.watcher.sigmoid(2 * x) - 1

    def time_constant(self, cell: ops.TimeConstant, sequence: Tensor) -> tuple[Step, tuple[Tensor, ...]]:
        def currents(of: ops.Synapses, source: Tensor) -> tuple[Tensor, Tensor]:
            gate = torch.sigmoid(of.steepness * source.unsqueeze(-1) - of.offset)
            return (gate * of.drive).sum(-2), (gate * of.conductance).sum(-2)

        def step(state: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
            drive, conductance = inputs
            for _ in range(cell.unfolds):
                inner = currents(cell.recurrent, state)
                numerator = cell.capacity * state + cell.rest + inner[0] + drive
                state = numerator / (cell.capacity + cell.leak + inner[1] + conductance)
            return self.keep("state", state)

        return step, currents(cell.sensory, sequence * cell.scale + cell.shift)


def _steps(op: ops.Scan, x: Tensor) -> Tensor:
    """Maps as (batch, steps, features), features as they lie in memory: channels last."""
    x = x.permute(0, 2, 3, 1)  # (batch, height, width, channels)
    if op.axis == "columns":
        x = x.transpose(1, 2)
    return x.reshape(x.shape[0], op.steps, x.shape[1] * x.shape[2] * x.shape[3] // op.steps)
