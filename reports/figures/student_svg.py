"""A diagram of a student as SVG: every layer's output as a cuboid, from the image to the logits."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from reports.facts.formats import count, dimensions
from reports.facts.layers import Layer, layers_of
from reports.figures.theme import COLOURS
from reports.render import render
from space.architecture import Architecture
from space.blocks.base import Shape

FREE_COLOUR = "#8c959f"
"""Of layers without parameters."""
MAX_HEIGHT, MAX_WIDTH, MAX_CHANNEL_WIDTH = 84, 60, 3.0
"""Pixels, as all that follows: height of the largest maps, width of the most channels, the most for one channel."""
SLANT = 0.3
"""How far a map's width goes back, as a share of what it would measure in front."""
GAP, MARGIN, LOOP_HEIGHT = 28, 18, 30
LINE_HEIGHT, LETTER_WIDTH, LINE_LETTERS = 15, 6.4, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuboid:
    """A layer in the diagram, in pixels: `x` and `y` of the front's upper left corner; `depth` goes right and up."""

    x: float
    y: float
    width: float
    height: float
    depth: float
    middle: float
    colour: str
    name: Sequence[str]
    shape: str
    parameters: str
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A student's diagram, in pixels: where the names end, the cuboids' axis and lower edge, and its size."""

    cuboids: Sequence[Cuboid]
    names_y: float
    axis_y: float
    bottom_y: float
    width: int
    height: int


def student_svg(architecture: Architecture, *, standalone: bool) -> str:
    """Write the diagram of a student, from left to right.

    Heights are in proportion to the maps, widths to the channels; a vector is a bar as high as it is long. A standalone
    diagram has its own background and text colour, light or dark like the reader's system; others take the page's.
    """
    return render(
        "student.svg",
        diagram=_diagram(layers_of(architecture), COLOURS[architecture.family]),
        line=LINE_HEIGHT,
        title=f"{architecture.family} {architecture.digest}, {count(architecture.cost().parameters)} parameters",
        standalone=standalone,
    )


def _diagram(layers: Sequence[Layer], colour: str) -> Diagram:
    names = [textwrap.wrap(layer.name.removesuffix(f" ×{layer.repeats}"), LINE_LETTERS) for layer in layers]
    sizes = _sizes([layer.shape for layer in layers])
    names_y = MARGIN + LINE_HEIGHT * max(map(len, names))
    top_y = names_y + (LOOP_HEIGHT if any(layer.repeats > 1 for layer in layers) else LINE_HEIGHT)
    tallest = max(height + depth for _, height, depth in sizes)
    axis_y = top_y + tallest / 2
    cuboids, x = [], float(MARGIN)
    for name, layer, (width, height, depth) in zip(names, layers, sizes, strict=True):
        parameters, shape = layer.cost.parameters, dimensions(layer.shape)
        column = max(width + depth, LETTER_WIDTH * max(map(len, [*name, shape])))
        cuboids.append(
            Cuboid(
                x=x + (column - width - depth) / 2,
                y=axis_y - (height - depth) / 2,
                width=width,
                height=height,
                depth=depth,
                middle=x + column / 2,
                colour=colour if parameters else FREE_COLOUR,
                name=name,
                shape=shape,
                parameters=count(parameters) if parameters else "",
                repeats=layer.repeats,
            )
        )
        x += column + GAP
    return Diagram(
        cuboids=cuboids,
        names_y=names_y,
        axis_y=axis_y,
        bottom_y=top_y + tallest,
        width=round(x - GAP + MARGIN),
        height=round(top_y + tallest + 3 * LINE_HEIGHT),
    )


def _sizes(shapes: Sequence[Shape]) -> list[tuple[float, float, float]]:
    """Width, height and depth of every cuboid; a shape (n, 1, 1) is a bar n high."""
    maps = [shape for shape in shapes if shape[1:] != (1, 1)]
    lengths = [shape[0] for shape in shapes if shape[1:] == (1, 1)]
    pixel = MAX_HEIGHT / max((max(shape[1:]) for shape in maps), default=1)
    channel = min(MAX_CHANNEL_WIDTH, MAX_WIDTH / max((shape[0] for shape in maps), default=1))
    feature = min(MAX_CHANNEL_WIDTH, MAX_HEIGHT / max(lengths, default=1))
    return [
        (8.0, max(4.0, feature * shape[0]), 3.0)
        if shape[1:] == (1, 1)
        else (max(2.0, channel * shape[0]), pixel * shape[1], SLANT * pixel * shape[2])
        for shape in shapes
    ]
