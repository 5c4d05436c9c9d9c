"""Calls and descriptions of a program's operations in C, alike in float and in integers."""

from abc import ABC, abstractmethod
from functools import singledispatchmethod

from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.arena import Place, scratch_of
from kd.deploy.c_source import Source, Stream, at, window
from space.blocks.base import Shape, size


def channels_last(weight: Tensor) -> Tensor:
    """A convolution's weight (out, in, rows, columns) as (out, rows, columns, in)."""
    return weight.permute(0, 2, 3, 1)


def by_positions(values: Tensor, target: Shape) -> Tensor:
    """Values of activations (channels, rows, columns) in the order of memory."""
    return values.reshape(target).permute(1, 2, 0).reshape(-1)


class Layers(ABC):
    """Writes operations one by one; what constants are is left to float or integers."""

    def __init__(self) -> None:
        """Begin an empty source."""
        self.source = Source()
        self.name, self.place = "", Place(found=0, source=0, target=0, clearance=0)

    @abstractmethod
    def weight(self, name: str) -> Tensor:
        """A weight of the operation being written, laid out as in `kd.deploy.program`."""

    @abstractmethod
    def stages(self, name: str, applications: int = 1) -> str:
        """Add a `struct stage` for every application; returns a pointer to the first, or 0 where there is none."""

    @abstractmethod
    def cell(self, op: ops.Scan, number: int) -> tuple[str, str]:
        """Add the description of one of a scan's cells; returns its kind and its name."""

    @abstractmethod
    def add(self, name: str, values: Tensor) -> str:
        """Add a constant array; returns its name."""

    def write(self, operation: ops.AnyOperation, name: str, place: Place) -> None:
        """Add an operation."""
        self.name, self.place = name, place
        self.source.enter(place, size(operation.source))
        self.operation(operation)

    def array(self, name: str) -> str:
        """Add a weight; returns its name."""
        return self.add(name, self.weight(name))

    def residual(self, call: str, count: int, applications: int) -> None:
        """Calls of a layer that writes before its input, and moves of the result to where that was."""
        self.source.uses |= {"move", "residual"}
        state, written = at(self.place.source), at(self.place.source - self.place.clearance)
        self.source.call(call, f"move({state}, {written}, {count});", applications=applications)

    def stream(self, op: ops.AnyOperation, kind: str, layer: str, stage: str, cell: str = "", words: int = 0) -> None:
        """Let the operation, whose call was the last, be fed step by step where it is the first of all."""
        if self.name != "layer_1" or op.source[2] > 1:
            return
        source, target = at(self.place.source), at(self.place.target)
        self.source.streamed = len(self.source.calls)
        self.source.stream = Stream(
            kind=kind, layer=layer, stage=stage, source=source, target=target, cell=cell, words=words
        )

    @property
    def places(self) -> str:
        """Input and output."""
        return f"{at(self.place.source)}, {at(self.place.target)}"

    @singledispatchmethod
    def operation(self, op: ops.AnyOperation) -> None:
        """Add what an operation needs."""
        raise TypeError(type(op).__name__)

    @operation.register
    def _convolution(self, op: ops.Convolution) -> None:
        self.source.uses |= {"window", "convolve", op.combine}
        parts = [window(op, op.window), self.add("weight", channels_last(self.weight("weight")))]
        if op.combine == "liquid":
            parts += [f".{name} = {self.array(name)}" for name in ("reversal", "rate")]
        layer = self.source.struct("convolution", self.name, [*parts, f".combine = {op.combine.upper()}"])
        stages, place = self.stages("sums", op.applications), self.place
        if op.combine == "replace":
            self.source.call(f"convolve(&{layer}, {stages}, {self.places});")
            self.stream(op, "convolve", layer, stages)
        else:
            target = at(place.source - place.clearance)
            call = f"convolve(&{layer}, {stages} + i, {at(place.source)}, {target});"
            self.residual(call, size(op.source), op.applications)

    @operation.register
    def _separable(self, op: ops.Separable) -> None:
        self.source.uses |= {"window", "separable", "residual"}
        depthwise = self.add("depthwise", self.weight("depthwise").permute(1, 2, 3, 0))
        adds = op.combine == "add"
        parts = [window(op, op.window), depthwise, self.array("pointwise"), str(int(adds))]
        layer = self.source.struct("separable", self.name, parts)
        middle, stages = self.stages("middle", op.applications), self.stages("sums", op.applications)
        middle = middle if middle == "0" or not adds else f"{middle} + i"
        state = at(self.place.source)
        if adds:
            target = at(self.place.source - self.place.clearance)
            call = f"separate(&{layer}, {middle}, {stages} + i, {state}, {state}, {target}, arena);"
            self.residual(call, size(op.source), op.applications)
        else:
            target = at(self.place.target)
            self.source.call(f"separate(&{layer}, {middle}, {stages}, {state}, {state}, {target}, arena);")

    @operation.register
    def _inverted(self, op: ops.Inverted) -> None:
        self.source.uses |= {"window", "convolve", "replace", "separable", "residual"}
        wide = (len(op.expand), *op.source[1:])
        expanded = window(ops.Operation(source=op.source, target=wide), ops.Window(kernel=(1, 1)))
        parts = [expanded, self.array("expand"), ".combine = REPLACE"]
        first = self.source.struct("convolution", f"{self.name}_in", parts)
        projected = window(ops.Operation(source=wide, target=op.target), op.window)
        depthwise = self.add("depthwise", self.weight("depthwise").permute(1, 2, 3, 0))
        second = self.source.struct("separable", f"{self.name}_out", [projected, depthwise, self.array("project"), "1"])
        expand, middle, last = (self.stages(name, op.applications) for name in ("expand", "depthwise", "sums"))
        state, maps = at(self.place.source), at(len(op.expand))  # behind the scratch of one position
        self.source.call(
            f"convolve(&{first}, {expand} + i, {state}, {maps});",
            f"separate(&{second}, {middle} + i, {last} + i, {maps}, {state}, {state}, arena);",
            applications=op.applications,
        )

    @operation.register
    def _pool(self, op: ops.Pool) -> None:
        self.source.uses.add("pool")
        channels, height, width = op.target
        numbers = (height, width, channels, op.source[2], *op.window, int(op.mode == "average"))
        layer = self.source.struct("pool", self.name, map(str, numbers))
        self.source.call(f"pool(&{layer}, {self.places});")

    @operation.register
    def _average(self, op: ops.GlobalAverage) -> None:
        self.source.uses |= {"average", "total"}
        stage = self.stages("out")
        stage = "" if stage == "0" else f"{stage}, "
        self.source.call(f"average({stage}{self.places}, {op.source[1] * op.source[2]}, {op.source[0]});")

    @operation.register
    def _gates(self, op: ops.Gates) -> None:
        self.source.uses |= {"total", "dot", "gate", "halves", "dot_halves", "keep_half"}
        numbers = (op.source[1] * op.source[2], op.source[0], len(op.squeeze))
        parts = [*map(str, numbers), self.array("squeeze"), self.array("excite")]
        layer = self.source.struct("gates", self.name, parts)
        self.source.call(f"gate(&{layer}, {self.stages('gates')}, {at(self.place.source)}, arena);")

    @operation.register
    def _row_column(self, op: ops.RowColumn) -> None:
        self.source.uses |= {"dot", "row_column", "halves", "dot_halves", "residual"}
        row, column = self.array("row"), self.array("column")
        channels, height, width = op.source
        numbers = (height, width, channels, op.target[1], op.target[2], op.target[0] // channels)
        flags = (int(len(op.row) > 1), int(op.residual))
        layer = self.source.struct("row_column", self.name, [*map(str, numbers), row, column, *map(str, flags)])
        first, stage = self.stages("column"), self.stages("positions")
        first = "" if first == "0" else f"{first}, "
        self.source.call(f"row_column(&{layer}, {first}{stage}, {self.places}, arena);")

    @operation.register
    def _mixer(self, op: ops.Mixer) -> None:
        channels, tokens = op.source[0], op.source[1] * op.source[2]
        self.source.uses |= {"dot", "mix", "residual"}
        lines = []
        for kind, shape in (
            ("token", (channels, tokens, len(op.token.first), 1, channels)),
            ("channel", (tokens, channels, len(op.channel.first), channels, 1)),
        ):
            weights = [self.array(f"{kind} first"), self.array(f"{kind} second")]
            parts = [*map(str, shape), *weights, str(int(kind == "token"))]
            layer = self.source.struct("mixing", f"{self.name}_{kind}", parts)
            norm = self.stages(f"{kind} norm", op.applications)
            inner, outer = self.stages(f"{kind} first"), self.stages(f"{kind} second", op.applications)
            norm = norm if norm == "0" else f"{norm} + i"
            lines.append(f"mix(&{layer}, {norm}, {inner}, {outer} + i, {at(self.place.source)}, arena);")
        self.source.call(*lines, applications=op.applications)

    @operation.register
    def _scan(self, op: ops.Scan) -> None:
        channels, height, width = op.source
        steps = {
            "rows": (width * channels, width, channels),
            "columns": (channels, height, width * channels),
            "positions": (channels, 1, channels),
        }[op.axis]
        self.source.uses |= {"cell", "halves"} | ({"words"} if op.mean else set())
        numbers = (op.steps, *steps, channels, op.hidden, int(op.mean))
        layer = self.source.struct("scan", self.name, map(str, numbers))
        stage = self.stages("out")
        stage = "" if stage == "0" else f"{stage}, "
        for number in range(len(op.cells)):
            kind, cell = self.cell(op, number)
            self.source.uses |= {kind, *(("dot", "dot_halves") if kind == "closed_form" else ("words",))}
            places = f"{at(self.place.source)}, {at(self.place.target + number * op.hidden)}"
            self.source.call(f"{kind}(&{layer}, &{cell}, {stage}{number}, {places}, arena);")
            if len(op.cells) == 1 and op.axis == "rows":
                words = 4 * (scratch_of(op).words - op.hidden * op.mean)
                self.stream(op, kind, layer, stage.removesuffix(", "), cell=cell, words=words)
