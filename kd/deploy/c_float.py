"""A program's C source in float: constants and calls for the template of the same name."""

from dataclasses import replace
from functools import singledispatchmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.arena import Place, Plan
from kd.deploy.c_source import Source, at, window
from kd.deploy.program import Program, Stage
from space.blocks.base import size


def float_source(program: Program, places: Plan) -> Source:
    """Constants and calls of a program, its arena counted in floats."""
    writer = _Writer()
    source = writer.source
    source.array("input_scale", array(program.scale), counted=False)
    source.array("input_shift", array(program.shift), counted=False)
    for index, (operation, place) in enumerate(zip(program.operations[:-1], places.places, strict=False), start=1):
        writer.name, writer.place = f"layer_{index}", place
        source.enter(place, size(operation.source))
        writer.write(operation)
    classifier = program.operations[-1]
    assert isinstance(classifier, ops.Convolution) and classifier.stage.shift is not None
    source.array("classifier_weight", channels_last(classifier.weight))
    source.array("classifier_bias", array(classifier.stage.shift))
    source.call(f"return classify({at(places.places[-1].source)}, logits);")
    return source


def array(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor in NumPy."""
    values: NDArray[np.float32] = tensor.detach().numpy().astype(np.float32)
    return values


def channels_last(weight: Tensor) -> NDArray[np.float32]:
    """A convolution's weight (out, in, rows, columns) as (out, rows, columns, in)."""
    return array(weight.permute(0, 2, 3, 1))


def by_positions(values: Tensor, target: tuple[int, int, int]) -> Tensor:
    """Values of activations (channels, rows, columns) in the order of memory."""
    return values.reshape(target).permute(1, 2, 0).reshape(-1)


class _Writer:
    def __init__(self) -> None:
        self.source = Source()
        self.name, self.place = "", Place(found=0, source=0, target=0, clearance=0)

    def add(self, name: str, tensor: Tensor) -> str:
        return self.source.array(f"{self.name}_{name}", array(tensor))

    def stages(self, stage: Stage, name: str, applications: int) -> str:
        """A `struct stage` for every application; returns the name of their array."""
        self.source.uses.add(stage.activation)
        scale = shift = slope = ""
        if stage.scale is not None:
            scale = self.add(f"{name}_scale", stage.scale)
        if stage.shift is not None:
            shift = self.add(f"{name}_shift", stage.shift)
        if stage.slope is not None:
            slope = self.add(f"{name}_slope", stage.slope)
        parts = []
        for application in range(applications):
            of = stage.at(application, applications)
            rows = application, 0 if stage.shift is None else min(application, len(stage.shift) - 1)
            found = [
                f"{pointer} + {row * len(values)}" if values is not None else "0"
                for pointer, row, values in zip((scale, shift), rows, of, strict=True)
            ]
            parts.append((*found, slope or "0", stage.activation.upper()))
        return self.source.structs("stage", f"{self.name}_{name}", parts)

    def residual(self, call: str, count: int, applications: int) -> None:
        """Calls of a layer that writes before its input, and moves of the result to where that was."""
        self.source.uses.add("move")
        state, written = at(self.place.source), at(self.place.source - self.place.clearance)
        self.source.call(call, f"move({state}, {written}, {count});", applications=applications)

    @singledispatchmethod
    def write(self, operation: ops.AnyOperation) -> None:
        """Add what an operation needs."""
        raise TypeError(type(operation).__name__)

    @write.register
    def _convolution(self, op: ops.Convolution) -> None:
        self.source.uses |= {"window", "convolve", op.combine}
        weight = self.source.array(f"{self.name}_weight", channels_last(op.weight))
        parts = [window(op, op.window), weight]
        if op.reversal is not None and op.rate is not None:
            parts += [f".reversal = {self.add('reversal', op.reversal)}", f".rate = {self.add('rate', op.rate)}"]
        layer = self.source.struct("convolution", self.name, [*parts, f".combine = {op.combine.upper()}"])
        stages = self.stages(op.stage, "stage", op.applications)
        state = op.combine != "replace"
        target = self.place.source - self.place.clearance if state else self.place.target
        call = f"convolve(&{layer}, &{stages}[i], {at(self.place.source)}, {at(target)});"
        if state:
            self.residual(call, size(op.source), op.applications)
        else:
            self.source.call(call)

    @write.register
    def _separable(self, op: ops.Separable) -> None:
        self.source.uses |= {"window", "separable"}
        depthwise = self.add("depthwise", op.depthwise.permute(1, 2, 3, 0))
        pointwise = self.add("pointwise", op.pointwise)
        adds = op.combine == "add"
        layer = self.source.struct(
            "separable", self.name, [window(op, op.window), depthwise, pointwise, str(int(adds))]
        )
        stages = self.stages(op.stage, "stage", op.applications)
        place, state = self.place, at(self.place.source)
        target = at(place.source - place.clearance if adds else place.target)
        call = f"separate(&{layer}, 0, &{stages}[i], {state}, {state}, {target}, arena);"
        if adds:
            self.residual(call, size(op.source), op.applications)
        else:
            self.source.call(call)

    @write.register
    def _inverted(self, op: ops.Inverted) -> None:
        self.source.uses |= {"window", "convolve", "replace", "separable"}
        wide = (len(op.expand), *op.source[1:])
        expand = self.add("expand", op.expand)
        one = ops.Window(kernel=(1, 1))
        expanded = window(ops.Operation(source=op.source, target=wide), one)
        self.source.struct("convolution", f"{self.name}_in", [expanded, expand, ".combine = REPLACE"])
        depthwise = self.add("depthwise", op.depthwise.permute(1, 2, 3, 0))
        project = self.add("project", op.project)
        projected = window(ops.Operation(source=wide, target=op.target), op.window)
        self.source.struct("separable", f"{self.name}_out", [projected, depthwise, project, "1"])
        first, middle, last = (
            self.stages(stage, name, op.applications)
            for stage, name in (
                (op.expand_stage, "first"),
                (op.depthwise_stage, "middle"),
                (op.project_stage, "last"),
            )
        )
        state, maps = at(self.place.source), at(len(op.expand))  # behind the scratch of one position
        self.source.call(
            f"convolve(&{self.name}_in, &{first}[i], {state}, {maps});",
            f"separate(&{self.name}_out, &{middle}[i], &{last}[i], {maps}, {state}, {state}, arena);",
            applications=op.applications,
        )

    @write.register
    def _pool(self, op: ops.Pool) -> None:
        self.source.uses.add("pool")
        channels, height, width = op.target
        numbers = (height, width, channels, op.source[2], *op.window, int(op.mode == "average"))
        layer = self.source.struct("pool", self.name, map(str, numbers))
        self.source.call(f"pool(&{layer}, {at(self.place.source)}, {at(self.place.target)});")

    @write.register
    def _average(self, op: ops.GlobalAverage) -> None:
        self.source.uses.add("average")
        positions = op.source[1] * op.source[2]
        self.source.call(f"average({at(self.place.source)}, {at(self.place.target)}, {positions}, {op.source[0]});")

    @write.register
    def _gates(self, op: ops.Gates) -> None:
        self.source.uses |= {"average", "dot", "gate"}
        squeeze, excite = self.add("squeeze", op.squeeze), self.add("excite", op.excite)
        stages = [self.stages(op.squeeze_stage, "squeeze_stage", 1), self.stages(op.excite_stage, "excite_stage", 1)]
        numbers = (op.source[1] * op.source[2], op.source[0], len(op.squeeze))
        layer = self.source.struct("gates", self.name, [*map(str, numbers), squeeze, excite])
        first, second = (f"&{stage}[0]" for stage in stages)
        self.source.call(f"gate(&{layer}, {first}, {second}, {at(self.place.source)}, arena);")

    @write.register
    def _row_column(self, op: ops.RowColumn) -> None:
        self.source.uses |= {"dot", "row_column"}
        assert op.stage.scale is not None and op.stage.shift is not None
        row, column = self.add("row", op.row), self.add("column", op.column.transpose(1, 2))
        scale = self.add("scale", by_positions(op.stage.scale, op.target))
        shift = self.add("shift", by_positions(op.stage.shift, op.target))
        stage = self.stages(replace(op.stage, scale=None, shift=None), "stage", 1)
        channels, height, width = op.source
        numbers = (height, width, channels, op.target[1], op.target[2], op.target[0] // channels)
        flags = (int(len(op.row) > 1), int(op.residual))
        parts = [*map(str, numbers), row, column, scale, shift, *map(str, flags)]
        layer = self.source.struct("row_column", self.name, parts)
        places = f"{at(self.place.source)}, {at(self.place.target)}"
        self.source.call(f"row_column(&{layer}, &{stage}[0], {places}, arena);")

    @write.register
    def _mixer(self, op: ops.Mixer) -> None:
        channels, height, width = op.source
        tokens = height * width
        self.source.uses |= {"dot", "mix"}
        lines = []
        for kind, mixing, shape in (
            ("token", op.token, (channels, tokens, len(op.token.first), 1, channels)),
            ("channel", op.channel, (tokens, channels, len(op.channel.first), channels, 1)),
        ):
            first, second = self.add(f"{kind}_first", mixing.first), self.add(f"{kind}_second", mixing.second)
            stage = replace(mixing.first_stage, shift=None)
            assert mixing.first_stage.shift is not None
            bias = self.add(f"{kind}_bias", mixing.first_stage.shift)
            layer = self.source.struct(
                "mixing", f"{self.name}_{kind}", [*map(str, shape), first, second, bias, str(int(kind == "token"))]
            )
            inner, outer = self.stages(stage, f"{kind}_hidden", 1), self.stages(mixing.second_stage, f"{kind}_out", 1)
            norm = "0"
            if mixing.norm is not None:
                norm = f"&{self.stages(mixing.norm, f'{kind}_norm', op.applications)}[i]"
            lines.append(f"mix(&{layer}, {norm}, {inner}, {outer}, {at(self.place.source)}, arena);")
        self.source.call(*lines, applications=op.applications)

    @write.register
    def _scan(self, op: ops.Scan) -> None:
        channels, height, width = op.source
        stride, groups, group_stride = {
            "rows": (width * channels, width, channels),
            "columns": (channels, height, width * channels),
            "positions": (channels, 1, channels),
        }[op.axis]
        self.source.uses.add("cell")
        numbers = (op.steps, stride, groups, group_stride, channels, op.hidden, int(op.mean))
        layer = self.source.struct("scan", self.name, map(str, numbers))
        for number, cell in enumerate(op.cells):
            if isinstance(cell, ops.ClosedForm):
                self.source.uses.add("dot")
                kind, parts = "closed_form", [self.add(f"{name}_{number}", getattr(cell, name)) for name in _CFC]
            else:
                kind = "time_constant"
                parts = [self.add(f"{name}_{number}", getattr(cell, name)) for name in _LTC[:2]]
                parts += [self.add(f"{name}_{number}", _by_target(getattr(cell, name))) for name in _LTC[2:4]]
                parts += [self.add(f"{name}_{number}", getattr(cell, name)) for name in _LTC[4:]]
                parts.append(str(cell.unfolds))
            self.source.uses.add(kind)
            described = self.source.struct(kind, f"{self.name}_cell_{number}", parts)
            places = f"{at(self.place.source)}, {at(self.place.target + number * op.hidden)}"
            self.source.call(f"{kind}(&{layer}, &{described}, {number}, {places}, arena);")


_CFC = ("input", "recurrent", "bias")
_LTC = ("scale", "shift", "sensory", "recurrent", "capacity", "leak", "rest")


def _by_target(synapses: ops.Synapses) -> Tensor:
    """Steepness, offset, conductance and drive of every synapse, target by target."""
    parts = (synapses.steepness, synapses.offset, synapses.conductance, synapses.drive)
    return torch.stack([part.T for part in parts], dim=-1)
