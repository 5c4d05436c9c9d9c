"""How each family draws a student: structure from the trial, then blocks for any width scale.

Every function asks the trial for the structure (kernels, repeats, ratios) and returns a plan: a function from a
scale (the width of the first layer) to blocks. `space.domain` picks the scale that meets the size it drew.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from space.architecture import AnyBlock, Family
from space.blocks.block import Activation
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer, Patches

Plan = Callable[[float], tuple[AnyBlock, ...]]
Body = Literal["convolution", "separable", "inverted", "liquid"]

ACTIVATIONS: tuple[Activation, ...] = ("relu", "leaky_relu", "prelu", "silu", "hardswish")


class Trial(Protocol):
    """What a draw may ask for: the three methods of an Optuna trial that the space uses."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Draw an integer in low..high."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number in low..high."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Draw one of the choices."""


def width(scale: float, ratio: float = 1.0) -> int:
    """A whole width of at least 2."""
    return max(2, round(scale * ratio))


def _activation(trial: Trial, family: Family) -> Activation:
    activation: Activation = trial.suggest_categorical(f"{family}.activation", ACTIVATIONS)
    return activation


def _stem(trial: Trial, family: Family, activation: Activation) -> Callable[[int], list[AnyBlock]]:
    kernel, stride, pool = {
        "3x3": (3, 1, True),
        "3x3/2": (3, 2, False),
        "5x5/2": (5, 2, False),
        "7x7/2": (7, 2, False),
    }[trial.suggest_categorical(f"{family}.stem", ("3x3", "3x3/2", "5x5/2", "7x7/2"))]

    def blocks(channels: int) -> list[AnyBlock]:
        stem: list[AnyBlock] = [Convolution(width=channels, kernel=kernel, stride=stride, activation=activation)]
        return [*stem, Pool()] if pool else stem

    return blocks


def _body(kind: Body, kernel: int, repeats: int, activation: Activation) -> list[AnyBlock]:
    if repeats == 0:
        return []
    match kind:
        case "convolution":
            return [ResidualConvolution(kernel=kernel, repeats=repeats, activation=activation)]
        case "separable":
            return [ResidualSeparable(kernel=kernel, repeats=repeats, activation=activation)]
        case "inverted":
            return [InvertedResidual(kernel=kernel, repeats=repeats, activation=activation)]
        case "liquid":
            return [LiquidConvolution(kernel=kernel, unfolds=repeats)]


def _stages(
    trial: Trial, family: Family, bodies: Sequence[Body], kernels: Sequence[int], activation: Activation
) -> Plan:
    """A convolutional stem, then stages: [pool, widening layer,] weight-tied body; each stage halves the maps."""
    stem = _stem(trial, family, activation)
    stages: list[Plan] = []
    ratio = 1.0
    for stage in range(1, trial.suggest_int(f"{family}.stages", 2, 3) + 1):
        name = f"{family}.{stage}"
        body: Body = trial.suggest_categorical(f"{name}.body", bodies) if len(bodies) > 1 else bodies[0]
        kernel: int = trial.suggest_categorical(f"{name}.kernel", kernels)
        repeats = trial.suggest_int(f"{name}.repeats", 0, 4)
        tied = _body(body, kernel, repeats, activation)
        if stage == 1:

            def first(scale: float, tied: list[AnyBlock] = tied) -> tuple[AnyBlock, ...]:
                return *stem(width(scale)), *tied

            stages.append(first)
            continue
        ratio *= trial.suggest_float(f"{name}.growth", 0.8, 2.0)
        entry_kernel: int = trial.suggest_categorical(f"{name}.entry", (1, 3))

        def widen(
            scale: float,
            ratio: float = ratio,
            kernel: int = entry_kernel,
            body: Body = body,
            tied: list[AnyBlock] = tied,
        ) -> tuple[AnyBlock, ...]:
            channels = width(scale, ratio)
            separable = body in ("separable", "inverted") and kernel > 1
            layer = Separable if separable else Convolution
            return Pool(), layer(width=channels, kernel=kernel, activation=activation), *tied

        stages.append(widen)
    return lambda scale: tuple(block for stage in stages for block in stage(scale))


def cnn(trial: Trial) -> Plan:
    """Full convolutions with weight-tied residual repeats, global average pooling."""
    plan = _stages(trial, "cnn", ("convolution",), (3, 5), _activation(trial, "cnn"))
    return lambda scale: (*plan(scale), GlobalAverage())


def depthwise(trial: Trial) -> Plan:
    """Separable and inverted-residual blocks with weight-tied repeats, global average pooling."""
    plan = _stages(trial, "depthwise", ("separable", "inverted"), (3, 5, 7), _activation(trial, "depthwise"))
    return lambda scale: (*plan(scale), GlobalAverage())


def mlp(trial: Trial) -> Plan:
    """Row–column layers, a dense net on pooled input, or a weight-tied mixer."""
    activation = _activation(trial, "mlp")
    match trial.suggest_categorical("mlp.kind", ("bilinear", "dense", "mixer")):
        case "bilinear":
            second = trial.suggest_float("mlp.second", 0.3, 0.8)
            hidden = trial.suggest_float("mlp.hidden", 0.5, 3.0)
            return lambda scale: (
                Bilinear(rows=width(scale), columns=width(scale), activation=activation),
                Bilinear(rows=width(scale, second), columns=width(scale, second), activation=activation),
                Dense(width=width(scale, hidden), activation=activation),
            )
        case "dense":
            pools = trial.suggest_int("mlp.pools", 1, 2)
            depth = trial.suggest_int("mlp.depth", 1, 3)
            return lambda scale: (
                (Pool(mode="average"),) * pools + (Dense(width=width(scale), activation=activation),) * depth
            )
        case _:
            side = trial.suggest_categorical("mlp.patch", (4, 7))
            tokens = trial.suggest_float("mlp.tokens", 0.5, 2.0)
            channels = trial.suggest_float("mlp.channels", 0.5, 2.0)
            repeats = trial.suggest_int("mlp.repeats", 1, 4)
            return lambda scale: (
                Patches(side=side, width=width(scale)),
                Mixer(
                    token_width=width(scale, tokens),
                    channel_width=width(scale, channels),
                    repeats=repeats,
                    activation=activation,
                ),
                GlobalAverage(),
            )


def liquid(trial: Trial) -> Plan:
    """Convolutional LTC stages, or a CfC or LTC scan over rows or columns behind up to two strided convolutions."""
    activation = _activation(trial, "liquid")
    if trial.suggest_categorical("liquid.kind", ("maps", "scan")) == "maps":
        plan = _stages(trial, "liquid", ("liquid",), (3,), activation)
        return lambda scale: (*plan(scale), GlobalAverage())
    convolutions = trial.suggest_int("liquid.convolutions", 0, 2)
    hidden = trial.suggest_float("liquid.hidden", 1.0, 4.0)
    cell = trial.suggest_categorical("liquid.cell", ("cfc", "ltc"))
    axis = trial.suggest_categorical("liquid.axis", ("rows", "columns"))
    both = trial.suggest_categorical("liquid.both", (False, True))
    unfolds = trial.suggest_int("liquid.unfolds", 1, 2) if cell == "ltc" else 1

    def scan(scale: float) -> tuple[AnyBlock, ...]:
        convolution = Convolution(width=width(scale), kernel=5, stride=2, activation=activation)
        second = Convolution(width=width(scale), kernel=3, stride=2, activation=activation)
        read = LiquidScan(cell=cell, hidden=width(scale, hidden), axis=axis, both_directions=both, unfolds=unfolds)
        return (*(convolution, second)[:convolutions], read)

    return scan


def hybrid(trial: Trial) -> Plan:
    """Stages that each draw their own kind, then pooling, a liquid scan or a mixer."""
    activation = _activation(trial, "hybrid")
    bodies: tuple[Body, ...] = ("convolution", "separable", "inverted", "liquid")
    plan = _stages(trial, "hybrid", bodies, (3, 5), activation)
    match trial.suggest_categorical("hybrid.head", ("average", "scan", "mixer")):
        case "scan":
            axis = trial.suggest_categorical("hybrid.axis", ("rows", "columns"))
            return lambda scale: (*plan(scale), LiquidScan(cell="cfc", hidden=width(scale, 1.5), axis=axis))
        case "mixer":
            return lambda scale: (
                *plan(scale),
                Mixer(token_width=width(scale, 0.5), channel_width=width(scale), activation=activation),
                GlobalAverage(),
            )
        case _:
            return lambda scale: (*plan(scale), GlobalAverage())


PLANS: dict[Family, Callable[[Trial], Plan]] = {
    "cnn": cnn,
    "depthwise": depthwise,
    "mlp": mlp,
    "liquid": liquid,
    "hybrid": hybrid,
}
