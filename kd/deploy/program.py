"""A trained student as a program: few operations in a row, batch norms folded, every constant a tensor.

Shapes are (channels, height, width), tensors are laid out as PyTorch has them, the first axis of a stage's tensors is
that of its applications. What an operation holds is exactly what is deployed: `Program.values` are the parameters
that `space.cost.Cost.deployed_parameters` counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from torch import Tensor

from space.blocks.base import Activation, Shape
from space.blocks.liquid import Axis

Nonlinearity = Activation | Literal["none", "sigmoid"]
Combine = Literal["replace", "add", "liquid"]
"""What an operation does with its result: it replaces the input, is added to it, or gates a liquid step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Multiply, add, activation behind the sums of a layer, once an application.

    `scale` is (applications, channels) or None for 1; `shift` likewise, or (1, channels) that only the last one adds.
    `slope` is (channels,) for PReLU.
    """

    scale: Tensor | None
    shift: Tensor | None
    activation: Nonlinearity = "none"
    slope: Tensor | None = None

    def at(self, application: int, applications: int) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift of one application, (channels,) each."""
        scale = None if self.scale is None else self.scale[application]
        if self.shift is None or (len(self.shift) < applications and application < applications - 1):
            return scale, None
        return scale, self.shift[min(application, len(self.shift) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a kernel reads: rows and columns, their strides, and padding before the first row and column."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One step of a program, from activations of shape `source` to those of shape `target`."""

    source: Shape
    target: Shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution(Operation):
    """Full convolution, weight (out, in, rows, columns); dense layers are those whose kernel is all of the input.

    A liquid one makes x ← (x + g·reversal) / (rate + g) of its gate g = σ(stage); both are (channels,).
    """

    window: Window
    weight: Tensor
    stage: Stage
    combine: Combine = "replace"
    applications: int = 1
    reversal: Tensor | None = None
    rate: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Separable(Operation):
    """Depthwise convolution (channels, 1, rows, columns), then one of single positions (out, channels)."""

    window: Window
    depthwise: Tensor
    pointwise: Tensor
    stage: Stage
    combine: Combine = "replace"
    applications: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inverted(Operation):
    """Inverted residual: expand (wide, channels), depthwise (wide, 1, rows, columns), project (channels, wide)."""

    window: Window
    expand: Tensor
    depthwise: Tensor
    project: Tensor
    expand_stage: Stage
    depthwise_stage: Stage
    project_stage: Stage
    applications: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool(Operation):
    """Pooling by windows that do not overlap."""

    mode: Literal["max", "average"]
    window: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GlobalAverage(Operation):
    """Mean of every map."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gates(Operation):
    """Squeeze (width, channels), excite (channels, width): every map times its gate."""

    squeeze: Tensor
    squeeze_stage: Stage
    excite: Tensor
    excite_stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowColumn(Operation):
    """A X B for every channel: A (pairs, rows, height), B (pairs, width, columns), one pair or one an output channel.

    The stage has a scale and a shift for every activation, (1, channels·rows·columns), and slopes a channel.
    """

    row: Tensor
    column: Tensor
    stage: Stage
    residual: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixing:
    """x ← x + second(act(first(norm(x)))) over vectors of tokens or channels; `norm` is None where it is folded."""

    norm: Stage | None
    first: Tensor
    first_stage: Stage
    second: Tensor
    second_stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixer(Operation):
    """Mixing of tokens, then of channels, each `applications` times."""

    token: Mixing
    channel: Mixing
    applications: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClosedForm:
    """CfC cell: input (3·hidden, features), recurrent (3·hidden, hidden), bias (3·hidden,): f₁, f₂, t."""

    input: Tensor
    recurrent: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Synapses:
    """LTC synapses, (sources, hidden) each: gate σ(steepness·x − offset), conductance, conductance times reversal."""

    steepness: Tensor
    offset: Tensor
    conductance: Tensor
    drive: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeConstant:
    """LTC cell: x ← (capacity·x + rest + drives) / (capacity + leak + conductances), `unfolds` times a step.

    `scale` and `shift` (features,) are of its inputs, `capacity`, `leak` and `rest` (hidden,).
    """

    scale: Tensor
    shift: Tensor
    sensory: Synapses
    recurrent: Synapses
    capacity: Tensor
    leak: Tensor
    rest: Tensor
    unfolds: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan(Operation):
    """Liquid cells that read maps along an axis, the second backwards; their last states, or means of all states."""

    axis: Axis
    mean: bool
    cells: tuple[ClosedForm | TimeConstant, ...]

    @property
    def steps(self) -> int:
        """Time steps."""
        _, height, width = self.source
        return {"rows": height, "columns": width, "positions": height * width}[self.axis]

    @property
    def hidden(self) -> int:
        """States of a cell."""
        return self.target[0] // len(self.cells)


def has_time_constants(operation: Operation) -> bool:
    """Whether LTC cells are in it, whose synapses are rounded in ways of their own."""
    return isinstance(operation, Scan) and any(isinstance(cell, TimeConstant) for cell in operation.cells)


AnyOperation = Convolution | Separable | Inverted | Pool | GlobalAverage | Gates | RowColumn | Mixer | Scan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """Operations from normalised samples to logits; the last is the classifier, a convolution.

    A sample is normalised as value·scale + shift, (channels,) each: of pixels 0..255, or of a sequence's features.
    """

    shape: tuple[int, ...]
    scale: Tensor
    shift: Tensor
    operations: tuple[AnyOperation, ...]

    @property
    def sequences(self) -> bool:
        """Whether it takes sequences (time, features), not images."""
        return len(self.shape) == 2

    @property
    def classes(self) -> int:
        """Logits that it gives."""
        return self.operations[-1].target[0]

    @property
    def values(self) -> int:
        """Constants deployed, without those of the normalisation."""
        return sum(tensor.numel() for tensor in tensors(self.operations))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Program":
        """The program with every constant of its operations changed."""
        return replace(self, operations=_mapped(self.operations, change))


def tensors(part: Any) -> Iterator[Tensor]:
    """All tensors of an operation, or of several."""
    if isinstance(part, Tensor):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from tensors(one)
    elif is_dataclass(part):
        for field in fields(part):
            yield from tensors(getattr(part, field.name))


def _mapped(part: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(part, Tensor):
        return change(part)
    if isinstance(part, tuple):
        return tuple(_mapped(one, change) for one in part)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{f.name: _mapped(getattr(part, f.name), change) for f in fields(part)})
    return part
