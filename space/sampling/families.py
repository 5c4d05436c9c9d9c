"""How each family draws a student: structure from the trial, then blocks for any width scale.

Every function asks for the structure (kernels, repeats, ratios) and adds the parts of a student to a draft;
`space.sampling.domain` picks the scale that meets the size it drew.

Parameters are named `family.what` or `family.stage.what`. A name has the same choices in all draws for one input shape.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from space.architecture import AnyBlock, Family
from space.blocks.base import Activation, maps
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan, Readout
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer, Patches
from space.sampling.builder import MIN_POSITIONS, ArchitectureBuilder, BlocksForScale, Trial, width

Body = Literal["tied", "plain", "separable", "inverted", "liquid"]

KINDS: dict[Body, Family] = {
    "tied": "cnn",
    "plain": "cnn",
    "separable": "depthwise",
    "inverted": "depthwise",
    "liquid": "liquid",
}
"""The family that a stage's body is of."""
MAX_TOKENS = 49
"""Most positions of convolutional maps that are scanned one by one."""
MAX_FLAT_POSITIONS = 16
"""Most positions of maps that are flattened; those of an input too small to be halved excepted."""


def _convolution(
    draft: ArchitectureBuilder, ratio: float, kernel: int, activation: Activation, halve: bool = False
) -> None:
    stride = 2 if halve and draft.can_halve else 1
    draft.add(lambda scale: Convolution(width=width(scale, ratio), kernel=kernel, stride=stride, activation=activation))


def _stem(draft: ArchitectureBuilder, activation: Activation) -> bool:
    """One convolution on the input as it is, on the pooled input, or with a stride; whether it halved the input."""
    kernel: int = draft.choice("stem.kernel", (3, 5, 7))
    halving = draft.choice("stem.halving", ("stride", "pool", "none"))
    if halving == "pool":
        draft.pool("average")
    _convolution(draft, 1.0, kernel, activation, halve=halving == "stride")
    return bool(halving != "none")


def _entry(draft: ArchitectureBuilder, stage: int, ratio: float, separable: bool, activation: Activation) -> None:
    """Halve the maps and change the width: a pool and a 1×1 or 3×3 layer, or a 3×3 layer with a stride."""
    entry = draft.choice(f"{stage}.entry", ("pool 1x1", "pool 3x3", "3x3/2"))
    if entry != "3x3/2":
        draft.pool(draft.choice(f"{stage}.pool", ("max", "average")))
    if separable and entry != "pool 1x1":
        stride = 2 if entry == "3x3/2" and draft.can_halve else 1
        draft.add(lambda scale: Separable(width=width(scale, ratio), stride=stride, activation=activation))
    else:
        _convolution(draft, ratio, 1 if entry == "pool 1x1" else 3, activation, halve=entry == "3x3/2")


def _body(draft: ArchitectureBuilder, stage: int, body: Body, ratio: float, activation: Activation) -> bool:
    """One or two plain layers, or a weight-tied one that is applied up to four times; the width is kept.

    The first stage may have none: the later ones make the family. Returns whether there is one.
    """
    what, fewest, most = ("layers", 1, 2) if body == "plain" else ("repeats", min(stage - 1, 1), 4)
    repeats = draft.count(f"{stage}.{what}", fewest, most)
    if repeats == 0:
        return False
    kernel: int = draft.choice(f"{stage}.kernel", (3, 5, 7))
    match body:
        case "plain":
            for _ in range(repeats):
                _convolution(draft, ratio, kernel, activation)
        case "tied":
            draft.add(ResidualConvolution(kernel=kernel, repeats=repeats, activation=activation))
        case "separable":
            draft.add(ResidualSeparable(kernel=kernel, repeats=repeats, activation=activation))
        case "inverted":
            expansion = draft.count(f"{stage}.expansion", 1, 4)
            draft.add(InvertedResidual(expansion=expansion, kernel=kernel, repeats=repeats, activation=activation))
        case "liquid":
            draft.add(LiquidConvolution(kernel=kernel, unfolds=repeats))
    return True


def _stages(
    draft: ArchitectureBuilder, bodies: Sequence[Body], activation: Activation, squeeze: bool = False
) -> set[Body]:
    """A convolutional stem, then two or three stages; every stage draws its kind of body, and halves the maps.

    Returns the bodies that there are.

    After a stem at full resolution the first stage has no body: it would take most of the MACs (with it, random
    MNIST students under 12,000 parameters need up to 19 million, without it up to 7), and they pay better further on.
    """
    halved = _stem(draft, activation)
    ratio, drawn = 1.0, set[Body]()
    for stage in range(1 if halved else 2, draft.count("stages", 2, 3) + 1):
        body: Body = draft.choice(f"{stage}.body", bodies)
        if stage > 1:
            ratio *= draft.ratio(f"{stage}.growth", 0.8, 2.0)
            _entry(draft, stage, ratio, body in ("separable", "inverted"), activation)
        if _body(draft, stage, body, ratio, activation):
            drawn.add(body)
        if squeeze and draft.choice(f"{stage}.squeeze", (False, True)):

            def gates(scale: float, ratio: float = ratio) -> AnyBlock:
                return SqueezeExcite(width=width(scale, ratio / 4), activation=activation)

            draft.add(gates)
    return drawn


def cnn(draft: ArchitectureBuilder) -> None:
    """Full convolutions, plain or weight-tied; a mean or small maps flattened, and perhaps a hidden layer behind."""
    activation = draft.activation()
    _stages(draft, ("tied", "plain"), activation)
    if draft.choice("head", ("average", "flatten")) == "average":
        draft.add(GlobalAverage())
    else:
        draft.pool_to(MAX_FLAT_POSITIONS)
    _hidden(draft, activation)


def depthwise(draft: ArchitectureBuilder) -> None:
    """Separable and inverted-residual blocks with weight-tied repeats and squeeze-excite, then a mean."""
    _stages(draft, ("separable", "inverted"), draft.activation(), squeeze=True)
    draft.add(GlobalAverage())


def mlp(draft: ArchitectureBuilder) -> None:
    """Row–column layers, a dense net on pooled or patched input, or a weight-tied mixer."""
    activation = draft.activation()
    match draft.choice(
        "kind", ("rows and columns", "dense", "mixer") if draft.positions >= MIN_POSITIONS else ("dense",)
    ):
        case "rows and columns":
            _rows_and_columns(draft, activation)
        case "dense":
            if draft.choice("input", ("pool", "patches")) == "pool":
                for _ in range(draft.count("pools", 1, 2)):
                    draft.pool("average")
            else:
                _patches(draft, draft.ratio("embedding", 0.1, 0.5))
            for _ in range(draft.count("depth", 1, 3)):
                draft.add(lambda scale: Dense(width=width(scale), activation=activation))
        case _:
            _patches(draft, 1.0)
            tokens = draft.ratio("tokens", 0.5, 2.0)
            channels = draft.ratio("channels", 0.5, 2.0)
            repeats = draft.count("repeats", 1, 4)
            draft.add(
                lambda scale: Mixer(
                    token_width=width(scale, tokens),
                    channel_width=width(scale, channels),
                    repeats=repeats,
                    activation=activation,
                )
            )
            draft.add(GlobalAverage())


def _patches(draft: ArchitectureBuilder, ratio: float) -> None:
    """Patches of a side that leaves at least two of them, 2 on the smallest inputs."""
    side: int = draft.choice("patch", tuple(side for side in (4, 7) if 2 * side <= max(draft.shape[1:])) or (2,))
    draft.add(lambda scale: Patches(side=side, width=width(scale, ratio)))


def _rows_and_columns(draft: ArchitectureBuilder, activation: Activation) -> None:
    """[strided convolution,] one to four row–column layers, [hidden layer]; a sequence is one matrix."""
    if draft.choice("stem", (False, True)):
        _convolution(draft, draft.ratio("stem.width", 0.1, 3.0), 5, activation, halve=True)
    if 1 in draft.shape[1:]:
        draft.add(Matrix())
    heads = draft.count("heads", 1, 4)
    rows, columns = 1.0, draft.ratio("1.columns", 0.5, 2.0)
    for layer in range(1, draft.count("layers", 1, 4) + 1):
        if layer > 1 and not draft.choice(f"{layer}.residual", (False, True)):
            rows *= draft.ratio(f"{layer}.rows", 0.3, 1.0)
            columns *= draft.ratio(f"{layer}.columns", 0.3, 1.0)
        pairs = None if heads == 1 else heads if layer == 1 else 1

        def bilinear(scale: float, rows: float = rows, columns: float = columns, pairs: int | None = pairs) -> AnyBlock:
            return Bilinear(rows=width(scale, rows), columns=width(scale, columns), heads=pairs, activation=activation)

        draft.add(bilinear)
    _hidden(draft, activation)


def _hidden(draft: ArchitectureBuilder, activation: Activation) -> None:
    """A hidden layer before the classifier, or none."""
    if draft.choice("hidden", (False, True)):
        ratio = draft.ratio("hidden.width", 0.5, 4.0)
        draft.add(lambda scale: Dense(width=width(scale, ratio), activation=activation))


def _axes(draft: ArchitectureBuilder) -> tuple[Literal["rows", "columns"], ...]:
    """Axes along which there is more than one step."""
    _, height, width = draft.shape
    if width == 1:
        return ("rows",)
    return ("columns",) if height == 1 else ("rows", "columns")


def liquid(draft: ArchitectureBuilder) -> None:
    """Convolutional LTC stages, or an LTC or CfC scan of rows, columns or tokens.

    A scan of an LTC unfolds at most twice a step: each unfold of 28 steps costs half a minute a pass over MNIST.
    """
    activation = draft.activation()
    if draft.choice("kind", ("maps", "scan")) == "maps":
        _stages(draft, ("liquid",), activation)
        draft.add(GlobalAverage())
        return
    axis = draft.choice("axis", (*_axes(draft), "positions"))
    ratio = 1.0
    if axis == "positions" and draft.choice("tokens", ("patches", "convolutions")) == "patches":
        _patches(draft, 1.0)
        ratio = draft.ratio("hidden", 0.5, 6.0)
    else:
        convolutions = 2 if axis == "positions" else draft.count("convolutions", 0, 2)
        for kernel in (5, 3)[:convolutions]:
            _convolution(draft, 1.0, kernel, activation, halve=True)
        if convolutions > 0:
            ratio = draft.ratio("hidden", 0.5, 6.0)
        if axis == "positions":
            draft.pool_to(MAX_TOKENS)
    _scan(draft, axis, ratio)


def _scan(draft: ArchitectureBuilder, axis: Literal["rows", "columns", "positions"], ratio: float) -> None:
    cell: Literal["ltc", "cfc"] = draft.choice("cell", ("cfc", "ltc"))
    both: bool = draft.choice("both_directions", (False, True))
    unfolds = draft.count("unfolds", 1, 2) if cell == "ltc" else 1
    readout: Readout = draft.choice("readout", ("last", "mean"))
    draft.add(
        lambda scale: LiquidScan(
            cell=cell,
            hidden=width(scale, ratio),
            axis=axis,
            both_directions=both,
            unfolds=unfolds,
            readout=readout,
        )
    )


def hybrid(draft: ArchitectureBuilder) -> None:
    """Stages that each draw their own kind, then a liquid scan, a mixer, a row–column layer, or a mean.

    Behind stages of one family there is no mean, which would make a student of that family.
    """
    activation = draft.activation()
    stages = _stages(draft, tuple(KINDS), activation)
    mixed = len({KINDS[body] for body in stages}) > 1
    heads = ("scan", "mixer", "rows and columns")
    head = draft.choice("head", (*heads, "average")) if mixed else draft.choice("head of one kind", heads)
    match head:
        case "scan":
            axis = draft.choice("axis", _axes(draft))
            _scan(draft, axis, draft.ratio("hidden", 0.5, 6.0))
        case "mixer":
            tokens = draft.ratio("tokens", 0.25, 2.0)
            draft.add(
                lambda scale: Mixer(token_width=width(scale, tokens), channel_width=width(scale), activation=activation)
            )
            draft.add(GlobalAverage())
        case "rows and columns":
            if 1 in draft.shape[1:]:
                draft.add(Matrix())
            rows, columns = draft.count("rows", 1, 4), draft.count("columns", 1, 4)
            draft.add(Bilinear(rows=rows, columns=columns, activation=activation))
        case _:
            draft.add(GlobalAverage())


_DRAWS: dict[Family, Callable[[ArchitectureBuilder], None]] = {
    "cnn": cnn,
    "depthwise": depthwise,
    "mlp": mlp,
    "liquid": liquid,
    "hybrid": hybrid,
}


def draw(trial: Trial, family: Family, shape: tuple[int, ...]) -> BlocksForScale:
    """Draw the structure of one student of `family` for inputs of `shape`."""
    draft = ArchitectureBuilder(trial, family, maps(shape))
    _DRAWS[family](draft)
    return draft.plan()


def unsupported_reason(family: Family, shape: tuple[int, ...]) -> str | None:
    """Why `family` cannot take inputs of `shape`, or None when it can."""
    longest = max(maps(shape)[1:])
    if family == "mlp" or longest >= MIN_POSITIONS:
        return None
    needed = f"{MIN_POSITIONS} time steps" if len(shape) == 2 else f"{MIN_POSITIONS} positions along a side"
    return f"{family} needs at least {needed}, inputs have {longest}"
