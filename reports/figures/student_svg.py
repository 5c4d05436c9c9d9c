"""A student as a drawing (SVG): what every layer gives as a cuboid, from the image to the logits."""

import textwrap
from dataclasses import dataclass

from reports.figures.theme import COLOURS
from reports.formats import count, dimensions
from reports.layers import layers_of
from reports.render import render
from space.architecture import Architecture
from space.blocks.base import Shape

GREY = "#8c959f"
TALLEST, WIDEST, THICKEST = 84, 60, 3.0
"""Height of the largest maps, width of the most channels, the most for a single channel."""
SLANT = 0.3
"""How far a map's width goes back, as a share of what it would measure in front."""
GAP, MARGIN, LOOP = 28, 18, 30
LINE, LETTER, LETTERS = 15, 6.4, 15
"""Height of a line of text, width of a letter, most letters a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuboid:
    """A layer's place, in pixels: `x` and `y` of the front's upper left corner; `depth` goes right and up."""

    x: float
    y: float
    width: float
    height: float
    depth: float
    middle: float
    colour: str
    name: list[str]
    shape: str
    parameters: str
    repeats: int


def student_svg(architecture: Architecture, *, standalone: bool) -> str:
    """Draw a student from left to right.

    Heights are in proportion to the maps, widths to the channels; a vector is a bar as high as it is long. A standalone
    drawing brings paper and ink, light or dark like the reader's system; one for a page takes the page's ink.
    """
    layers = layers_of(architecture)
    names = [textwrap.wrap(layer.name.removesuffix(f" ×{layer.repeats}"), LETTERS) for layer in layers]
    sizes = _sizes([layer.shape for layer in layers])
    tied = any(layer.repeats > 1 for layer in layers)
    heading = MARGIN + LINE * max(map(len, names)) + (LOOP if tied else LINE)
    tallest = max(height + depth for _, height, depth in sizes)
    axis = heading + tallest / 2
    cuboids, x = [], float(MARGIN)
    for name, layer, (width, height, depth) in zip(names, layers, sizes, strict=True):
        own = layer.cost.parameters
        column = max(width + depth, LETTER * max(map(len, [*name, dimensions(layer.shape)])))
        cuboids.append(
            Cuboid(
                x=x + (column - width - depth) / 2,
                y=axis - (height - depth) / 2,
                width=width,
                height=height,
                depth=depth,
                middle=x + column / 2,
                colour=COLOURS[architecture.family] if own else GREY,
                name=name,
                shape=dimensions(layer.shape),
                parameters=count(own) if own else "",
                repeats=layer.repeats,
            )
        )
        x += column + GAP
    return render(
        "student.svg",
        cuboids=cuboids,
        axis=axis,
        line=LINE,
        names=heading - (LOOP if tied else LINE),
        bottom=heading + tallest,
        width=round(x - GAP + MARGIN),
        height=round(heading + tallest + 3 * LINE),
        title=f"{architecture.family} {architecture.digest}, {count(architecture.cost().parameters)} parameters",
        standalone=standalone,
    )


def _sizes(shapes: list[Shape]) -> list[tuple[float, float, float]]:
    """Width, height and depth of every cuboid; a shape (n, 1, 1) is a bar n high."""
    maps = [shape for shape in shapes if shape[1:] != (1, 1)]
    lengths = [shape[0] for shape in shapes if shape[1:] == (1, 1)]
    pixel = TALLEST / max((max(shape[1:]) for shape in maps), default=1)
    channel = min(THICKEST, WIDEST / max((shape[0] for shape in maps), default=1))
    feature = min(THICKEST, TALLEST / max(lengths, default=1))
    return [
        (8.0, max(4.0, feature * shape[0]), 3.0)
        if shape[1:] == (1, 1)
        else (max(2.0, channel * shape[0]), pixel * shape[1], SLANT * pixel * shape[2])
        for shape in shapes
    ]
