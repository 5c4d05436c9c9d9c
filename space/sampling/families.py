"""How each family draws a student: structure from the trial, then blocks for any width scale.

Every function draws the structure (kernels, repeats, ratios) and adds the layers of a student to a builder;
`space.sampling.domain` finds the scale that meets the size it drew.

Parameters are named `family.name` or `family.stage.name`. A name has the same distribution in all draws for one input
shape.
"""

from collections.abc import Callable
from typing import Literal

from space.architecture import AnyBlock, Family
from space.blocks.base import Activation, maps
from space.blocks.convolution import GlobalAverage
from space.blocks.liquid import Axis, CellKind, LiquidScan, Readout
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer, Patches
from space.sampling.builder import MIN_POSITIONS, ArchitectureBuilder, BlocksForScale, Trial, width
from space.sampling.stages import BODY_FAMILIES, add_convolution, add_stages

MAX_TOKENS = 49
"""Most positions of convolutional maps that are scanned one by one."""
MAX_FLAT_POSITIONS = 16
"""Most positions of maps that are flattened; those of an input too small to be halved excepted."""


def cnn(builder: ArchitectureBuilder) -> None:
    """Full convolutions, plain or weight-tied; a mean or small maps flattened, and perhaps a hidden layer behind."""
    activation = builder.activation()
    add_stages(builder, ("tied", "plain"), activation)
    if builder.categorical("head", ("average", "flatten")) == "average":
        builder.add(GlobalAverage())
    else:
        builder.pool_to(MAX_FLAT_POSITIONS)
    _hidden(builder, activation)


def depthwise(builder: ArchitectureBuilder) -> None:
    """Separable and inverted-residual blocks with weight-tied repeats and squeeze-excite, then a mean."""
    add_stages(builder, ("separable", "inverted"), builder.activation(), squeeze=True)
    builder.add(GlobalAverage())


def mlp(builder: ArchitectureBuilder) -> None:
    """Row–column layers, a dense net on pooled or patched input, or a weight-tied mixer."""
    activation = builder.activation()
    kinds = ("rows and columns", "dense", "mixer") if builder.positions >= MIN_POSITIONS else ("dense",)
    match builder.categorical("kind", kinds):
        case "rows and columns":
            _rows_and_columns(builder, activation)
        case "dense":
            _dense(builder, activation)
        case _:
            _mixer(builder, activation)


def _dense(builder: ArchitectureBuilder, activation: Activation) -> None:
    """One or two average pools or an embedding of patches, then one to three dense layers."""
    if builder.categorical("input", ("pool", "patches")) == "pool":
        for _ in range(builder.integer("pools", 1, 2)):
            builder.pool("average")
    else:
        _patches(builder, builder.ratio("embedding", 0.1, 0.5))
    for _ in range(builder.integer("depth", 1, 3)):
        builder.add(lambda scale: Dense(width=width(scale), activation=activation))


def _mixer(builder: ArchitectureBuilder, activation: Activation) -> None:
    """Patches, one weight-tied mixer, a mean."""
    _patches(builder, 1.0)
    tokens = builder.ratio("tokens", 0.5, 2.0)
    channels = builder.ratio("channels", 0.5, 2.0)
    repeats = builder.integer("repeats", 1, 4)
    builder.add(
        lambda scale: Mixer(
            token_width=width(scale, tokens),
            channel_width=width(scale, channels),
            repeats=repeats,
            activation=activation,
        )
    )
    builder.add(GlobalAverage())


def _patches(builder: ArchitectureBuilder, ratio: float) -> None:
    """Patches of a side that leaves at least two of them, 2 on the smallest inputs."""
    sides = tuple(side for side in (4, 7) if 2 * side <= max(builder.shape[1:])) or (2,)
    side: int = builder.categorical("patch", sides)
    builder.add(lambda scale: Patches(side=side, width=width(scale, ratio)))


def _rows_and_columns(builder: ArchitectureBuilder, activation: Activation) -> None:
    """[strided convolution,] one to four row–column layers, [hidden layer]; a sequence is one matrix."""
    if builder.categorical("stem", (False, True)):
        add_convolution(builder, builder.ratio("stem.width", 0.1, 3.0), 5, activation, halve=True)
    if 1 in builder.shape[1:]:
        builder.add(Matrix())
    heads = builder.integer("heads", 1, 4)
    rows, columns = 1.0, builder.ratio("1.columns", 0.5, 2.0)
    for layer in range(1, builder.integer("layers", 1, 4) + 1):
        if layer > 1 and not builder.categorical(f"{layer}.residual", (False, True)):
            rows *= builder.ratio(f"{layer}.rows", 0.3, 1.0)
            columns *= builder.ratio(f"{layer}.columns", 0.3, 1.0)
        pairs = None if heads == 1 else heads if layer == 1 else 1

        def bilinear(scale: float, rows: float = rows, columns: float = columns, pairs: int | None = pairs) -> AnyBlock:
            return Bilinear(rows=width(scale, rows), columns=width(scale, columns), heads=pairs, activation=activation)

        builder.add(bilinear)
    _hidden(builder, activation)


def _hidden(builder: ArchitectureBuilder, activation: Activation) -> None:
    """A hidden layer before the classifier, or none."""
    if builder.categorical("hidden", (False, True)):
        ratio = builder.ratio("hidden.width", 0.5, 4.0)
        builder.add(lambda scale: Dense(width=width(scale, ratio), activation=activation))


def _axes(builder: ArchitectureBuilder) -> tuple[Literal["rows", "columns"], ...]:
    """Sides along which there is more than one step."""
    _, height, width = builder.shape
    if width == 1:
        return ("rows",)
    return ("columns",) if height == 1 else ("rows", "columns")


def liquid(builder: ArchitectureBuilder) -> None:
    """Convolutional LTC stages, or an LTC or CfC scan of rows, columns or tokens.

    A scan of an LTC unfolds at most twice a step: each unfold of 28 steps costs half a minute a pass over MNIST.
    """
    activation = builder.activation()
    if builder.categorical("kind", ("maps", "scan")) == "maps":
        add_stages(builder, ("liquid",), activation)
        builder.add(GlobalAverage())
        return
    axis = builder.categorical("axis", (*_axes(builder), "positions"))
    ratio = 1.0
    if axis == "positions" and builder.categorical("tokens", ("patches", "convolutions")) == "patches":
        _patches(builder, 1.0)
        ratio = builder.ratio("hidden", 0.5, 6.0)
    else:
        convolutions = 2 if axis == "positions" else builder.integer("convolutions", 0, 2)
        for kernel in (5, 3)[:convolutions]:
            add_convolution(builder, 1.0, kernel, activation, halve=True)
        if convolutions > 0:
            ratio = builder.ratio("hidden", 0.5, 6.0)
        if axis == "positions":
            builder.pool_to(MAX_TOKENS)
    _scan(builder, axis, ratio)


def _scan(builder: ArchitectureBuilder, axis: Axis, ratio: float) -> None:
    """A scan along `axis` by a cell of `ratio` times the width."""
    cell: CellKind = builder.categorical("cell", ("cfc", "ltc"))
    both: bool = builder.categorical("both_directions", (False, True))
    unfolds = builder.integer("unfolds", 1, 2) if cell == "ltc" else 1
    readout: Readout = builder.categorical("readout", ("last", "mean"))
    builder.add(
        lambda scale: LiquidScan(
            cell=cell,
            hidden=width(scale, ratio),
            axis=axis,
            both_directions=both,
            unfolds=unfolds,
            readout=readout,
        )
    )


def hybrid(builder: ArchitectureBuilder) -> None:
    """Stages that each draw their own kind, then a liquid scan, a mixer, a row–column layer, or a mean.

    Behind stages of one family there is no mean, which would make a student of that family.
    """
    activation = builder.activation()
    stages = add_stages(builder, tuple(BODY_FAMILIES), activation)
    mixed = len({BODY_FAMILIES[body] for body in stages}) > 1
    heads = ("scan", "mixer", "rows and columns")
    head = builder.categorical("head", (*heads, "average")) if mixed else builder.categorical("head of one kind", heads)
    match head:
        case "scan":
            axis = builder.categorical("axis", _axes(builder))
            _scan(builder, axis, builder.ratio("hidden", 0.5, 6.0))
        case "mixer":
            tokens = builder.ratio("tokens", 0.25, 2.0)
            builder.add(
                lambda scale: Mixer(token_width=width(scale, tokens), channel_width=width(scale), activation=activation)
            )
            builder.add(GlobalAverage())
        case "rows and columns":
            if 1 in builder.shape[1:]:
                builder.add(Matrix())
            rows, columns = builder.integer("rows", 1, 4), builder.integer("columns", 1, 4)
            builder.add(Bilinear(rows=rows, columns=columns, activation=activation))
        case _:
            builder.add(GlobalAverage())


_FAMILIES: dict[Family, Callable[[ArchitectureBuilder], None]] = {
    "cnn": cnn,
    "depthwise": depthwise,
    "mlp": mlp,
    "liquid": liquid,
    "hybrid": hybrid,
}


def suggest_blocks(trial: Trial, family: Family, shape: tuple[int, ...]) -> BlocksForScale:
    """Draw the structure of one student of `family` for inputs of `shape`."""
    builder = ArchitectureBuilder(trial, family, maps(shape))
    _FAMILIES[family](builder)
    return builder.blocks_for_scale()


def unsupported_reason(family: Family, shape: tuple[int, ...]) -> str | None:
    """Why `family` cannot take inputs of `shape`, or None when it can."""
    longest = max(maps(shape)[1:])
    if family == "mlp" or longest >= MIN_POSITIONS:
        return None
    needed = f"{MIN_POSITIONS} time steps" if len(shape) == 2 else f"{MIN_POSITIONS} positions along a side"
    return f"{family} needs at least {needed}, inputs have {longest}"
