"""Convolutional students in stages: a stem, then stages that halve the maps and repeat a body.

Parameters of a stage are named `family.stage.name`.
"""

from collections.abc import Sequence
from typing import Literal

from space.architecture import AnyBlock, Family
from space.blocks.base import Activation
from space.blocks.convolution import Convolution, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution
from space.sampling.builder import ArchitectureBuilder, width

Body = Literal["tied", "plain", "separable", "inverted", "liquid"]

BODY_FAMILIES: dict[Body, Family] = {
    "tied": "cnn",
    "plain": "cnn",
    "separable": "depthwise",
    "inverted": "depthwise",
    "liquid": "liquid",
}
"""The family that each kind of body belongs to."""


def add_convolution(
    builder: ArchitectureBuilder, ratio: float, kernel: int, activation: Activation, halve: bool = False
) -> None:
    """Add a convolution of `ratio` times the width, with a stride of 2 if it shall halve the maps and can."""
    stride = 2 if halve and builder.can_halve else 1
    builder.add(
        lambda scale: Convolution(width=width(scale, ratio), kernel=kernel, stride=stride, activation=activation)
    )


def _stem(builder: ArchitectureBuilder, activation: Activation) -> bool:
    """One convolution on the input as it is, on the pooled input, or with a stride; return whether it halves."""
    kernel: int = builder.categorical("stem.kernel", (3, 5, 7))
    halving = builder.categorical("stem.halving", ("stride", "pool", "none"))
    if halving == "pool":
        builder.pool("average")
    add_convolution(builder, 1.0, kernel, activation, halve=halving == "stride")
    return bool(halving != "none")


def _entry(builder: ArchitectureBuilder, stage: int, ratio: float, separable: bool, activation: Activation) -> None:
    """Halve the maps and change the width: a pool and a 1×1 or 3×3 layer, or a 3×3 layer with a stride."""
    entry = builder.categorical(f"{stage}.entry", ("pool 1x1", "pool 3x3", "3x3/2"))
    if entry != "3x3/2":
        builder.pool(builder.categorical(f"{stage}.pool", ("max", "average")))
    if separable and entry != "pool 1x1":
        stride = 2 if entry == "3x3/2" and builder.can_halve else 1
        builder.add(lambda scale: Separable(width=width(scale, ratio), stride=stride, activation=activation))
    else:
        add_convolution(builder, ratio, 1 if entry == "pool 1x1" else 3, activation, halve=entry == "3x3/2")


def _body(builder: ArchitectureBuilder, stage: int, body: Body, ratio: float, activation: Activation) -> bool:
    """One or two plain layers, or a weight-tied one that is applied up to four times; the width is kept.

    The first stage may have none: the later ones make the family. Returns whether there is one.
    """
    name, low, high = ("layers", 1, 2) if body == "plain" else ("repeats", min(stage - 1, 1), 4)
    repeats = builder.integer(f"{stage}.{name}", low, high)
    if repeats == 0:
        return False
    kernel: int = builder.categorical(f"{stage}.kernel", (3, 5, 7))
    match body:
        case "plain":
            for _ in range(repeats):
                add_convolution(builder, ratio, kernel, activation)
        case "tied":
            builder.add(ResidualConvolution(kernel=kernel, repeats=repeats, activation=activation))
        case "separable":
            builder.add(ResidualSeparable(kernel=kernel, repeats=repeats, activation=activation))
        case "inverted":
            expansion = builder.integer(f"{stage}.expansion", 1, 4)
            builder.add(InvertedResidual(expansion=expansion, kernel=kernel, repeats=repeats, activation=activation))
        case "liquid":
            builder.add(LiquidConvolution(kernel=kernel, unfolds=repeats))
    return True


def add_stages(
    builder: ArchitectureBuilder, bodies: Sequence[Body], activation: Activation, squeeze: bool = False
) -> set[Body]:
    """A convolutional stem, then two or three stages; every stage draws its kind of body, and halves the maps.

    After a stem at full resolution the first stage has no body: it would take most of the MACs (with it, random
    MNIST students under 12,000 parameters need up to 19 million, without it up to 7), and they pay better further on.

    Returns:
        The kinds of body drawn.
    """
    halved = _stem(builder, activation)
    ratio, drawn = 1.0, set[Body]()
    for stage in range(1 if halved else 2, builder.integer("stages", 2, 3) + 1):
        body: Body = builder.categorical(f"{stage}.body", bodies)
        if stage > 1:
            ratio *= builder.ratio(f"{stage}.growth", 0.8, 2.0)
            _entry(builder, stage, ratio, body in ("separable", "inverted"), activation)
        if _body(builder, stage, body, ratio, activation):
            drawn.add(body)
        if squeeze and builder.categorical(f"{stage}.squeeze", (False, True)):

            def gates(scale: float, ratio: float = ratio) -> AnyBlock:
                return SqueezeExcite(width=width(scale, ratio / 4), activation=activation)

            builder.add(gates)
    return drawn
