"""Parts of a C source file: constant arrays, descriptions of layers, and the calls that run them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.deploy.arena import Place
from kd.deploy.program import Operation, Window

Values = NDArray[Any]
TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "uint8": "uint8_t"}
WIDTH = 112


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How a student's first operation, a scan or a convolution, is fed step by step: names and places in C.

    `kind` is the function, `calls` what follows the operation. A scan has the name of a `cell`, and `words`: bytes of
    its scratch before the sum of states.
    """

    kind: str
    layer: str
    stage: str
    source: str
    target: str
    cell: str = ""
    words: int = 0
    calls: str = ""


@dataclass(slots=True)
class Source:
    """What a generator has collected: `uses` are the names of the template's parts that are needed."""

    constants: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    bytes: int = 0
    """Bytes of all constant arrays, those of the normalisation and of tables left out."""
    stream: Stream | None = None
    streamed: int = 0
    """Calls that a stream replaces."""

    def array(self, name: str, values: Values, counted: bool = True) -> str:
        """Add a constant array, values in the order in which C counts them; returns its name."""
        flat = np.ascontiguousarray(values).reshape(-1)
        kind = TYPES[str(flat.dtype)]
        self.constants.append(f"static const {kind} {name}[{len(flat)}] = {{\n{rows(flat)}\n}};")
        self.bytes += flat.nbytes if counted else 0
        return name

    def struct(self, kind: str, name: str, parts: Iterable[str]) -> str:
        """Add a constant description; returns its name."""
        self.constants.append(f"static const struct {kind} {name} = {{ {', '.join(parts)} }};")
        return name

    def structs(self, kind: str, name: str, all_parts: Sequence[Iterable[str]]) -> str:
        """Add constant descriptions, one an application; returns the name of their array."""
        lines = ",\n".join(f"    {{ {', '.join(parts)} }}" for parts in all_parts)
        self.constants.append(f"static const struct {kind} {name}[{len(all_parts)}] = {{\n{lines}\n}};")
        return name

    def call(self, *lines: str, applications: int = 1) -> None:
        """Add lines to the body, in a loop over `i` where there are several applications."""
        if applications == 1:
            self.calls += [f"    {line}".replace(" + i,", ",") for line in lines]
            return
        self.uses.add("loop")
        self.calls.append(f"    for (i = 0; i < {applications}; i++) {{")
        self.calls += [f"        {line}" for line in lines]
        self.calls.append("    }")

    def enter(self, place: Place, count: int) -> None:
        """Move an operation's input, `count` values, to where it has to be."""
        if place.source != place.found:
            self.uses.add("move")
            self.calls.append(f"    move({at(place.source)}, {at(place.found)}, {count});")


def at(offset: int) -> str:
    """A place in the arena."""
    return f"arena + {offset}" if offset else "arena"


def window(operation: Operation, shape: Window) -> str:
    """Initialiser of a `struct window`."""
    (channels, height, width), (out_channels, out_height, out_width) = operation.source, operation.target
    numbers = (height, width, channels, out_height, out_width, out_channels, *shape.kernel, *shape.stride)
    return f"{{ {', '.join(map(str, (*numbers, *shape.padding)))} }}"


def literal(value: np.generic) -> str:
    """A value as C reads it back exactly."""
    if not isinstance(value, np.floating):
        return str(value)
    text = f"{value:.9g}"
    return (text if {".", "e"} & set(text) else text + ".0") + "f"


def rows(values: Values) -> str:
    """Values in lines of at most `WIDTH` characters."""
    lines, line = [], "   "
    for value in values:
        word = f" {literal(value)},"
        if len(line) + len(word) > WIDTH:
            lines.append(line)
            line = "   "
        line += word
    return "\n".join([*lines, line]).rstrip(",")
