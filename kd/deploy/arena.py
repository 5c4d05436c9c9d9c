"""Where activations lie: one static arena, as small as its most demanding operation.

Layers slide: a convolution writes its first rows over rows of its input that it no longer needs. How far before the
input it has to begin is the `clearance` that costs use, too: the arena's bytes are `space.cost.Cost.memory_bytes`.
"""

from dataclasses import dataclass

from kd.deploy import program as ops
from kd.deploy.program import Program
from space.blocks.base import size
from space.blocks.memory import clearance


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """What an operation needs beside input and output: values of 32 bits, of 16 and of 8, in this order."""

    words: int = 0
    halves: int = 0
    bytes: int = 0

    def elements(self, quantised: bool) -> int:
        """Bytes of int8, or floats: those need one for any width."""
        return 4 * self.words + 2 * self.halves + self.bytes if quantised else self.words + self.halves + self.bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Offsets of one operation in the arena; its scratch is at the start.

    Its input is at `source`, moved up from `found` if that is another place; its output begins at `target`. Residual
    operations leave their output where the input was, and write `clearance` elements before it on the way.
    """

    found: int
    source: int
    target: int
    clearance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The arena's size and the places of all operations, in elements: bytes of int8, or floats."""

    size: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """Elements of scratch, input, output and clearance; `stays`: the output takes the place of the input."""

    scratch: int
    source: int
    target: int
    clearance: int
    stays: bool

    @property
    def size(self) -> int:
        return self.scratch + max(self.source + self.clearance, self.target)

    def place(self, found: int, total: int) -> Place:
        """Where to put it in an arena of `total` elements, its input being at `found`."""
        if found >= self.scratch + self.clearance:
            source, target = found, found if self.stays else self.scratch
        elif not self.stays and found >= self.scratch and found + self.source + self.target <= total:
            source, target = found, total - self.target
        else:
            source = total - self.source
            target = source if self.stays else self.scratch
        return Place(found=found, source=source, target=target, clearance=self.clearance)


def plan(program: Program, *, quantised: bool) -> Plan:
    """Places for a program in int8, or in float."""
    demands = [_demand(operation, quantised) for operation in program.operations[:-1]]
    features = size(program.operations[-1].source)
    # the classifier gives its logits to the caller
    demands.append(_Demand(scratch=0, source=features, target=0, clearance=0, stays=False))
    total = max(demand.size for demand in demands)
    places: list[Place] = []
    at = total - demands[0].source
    for demand in demands:
        places.append(demand.place(at, total))
        at = places[-1].target
    return Plan(size=total, places=tuple(places))


def _demand(operation: ops.AnyOperation, quantised: bool) -> _Demand:
    source, target = size(operation.source), size(operation.target)
    needed, stays = 0, False
    match operation:
        case ops.Convolution(window=window, combine=combine) | ops.Separable(window=window, combine=combine):
            needed = clearance(operation.source, operation.target, window.stride[0], window.padding[0])
            stays = combine != "replace"
        case ops.Inverted():
            needed, stays = size((len(operation.expand), *operation.source[1:])), True  # its wide maps
        case ops.Gates() | ops.Mixer():
            stays = True
        case ops.RowColumn() | ops.Scan():
            needed = target
        case ops.Pool() | ops.GlobalAverage():
            pass
    scratch = scratch_of(operation).elements(quantised)
    return _Demand(scratch=scratch, source=source, target=target, clearance=needed, stays=stays)


def scratch_of(operation: ops.AnyOperation) -> Scratch:
    """What an operation needs beside its input and output."""
    match operation:
        case ops.Separable():  # one position between the convolutions
            return Scratch(bytes=operation.source[0])
        case ops.Inverted():
            return Scratch(bytes=len(operation.expand))
        case ops.Gates():
            return Scratch(halves=len(operation.excite) + len(operation.squeeze))
        case ops.RowColumn():  # one column of X B
            return Scratch(halves=operation.source[1])
        case ops.Mixer():  # one vector, normalised, and what is behind the first layer
            return Scratch(bytes=max(sum(mixing.first.shape) for mixing in (operation.token, operation.channel)))
        case ops.Scan(cells=cells, hidden=hidden, mean=mean):
            # state and next state; the sum of all; what inputs give to an LTC's numerator and denominator
            cell = cells[0]
            kept = 2 * hidden if isinstance(cell, ops.TimeConstant) and cell.unfolds > 1 else 0
            return Scratch(words=kept + hidden * mean, halves=2 * hidden)
        case _:
            return Scratch()
