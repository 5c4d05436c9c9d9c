"""Strong designs made by hand are draws of the domain."""

import random
from typing import Any

import pytest

from space.architecture import AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer, Patches
from space.domain import Domain, RandomTrial, suggest

STEM: dict[str, Any] = {"activation": "relu", "stem.kernel": 5, "stem.halving": "stride", "stages": 2}

DESIGNS: dict[str, tuple[Family, tuple[AnyBlock, ...], dict[str, Any]]] = {
    "tied convolutions, 99.6 % with 9,682": (
        "cnn",
        (
            Convolution(width=16, kernel=5, stride=2),
            ResidualConvolution(repeats=3),
            Pool(),
            Convolution(width=20),
            ResidualConvolution(repeats=3),
            GlobalAverage(),
        ),
        STEM
        | {"1.body": "tied", "1.kernel": 3, "1.repeats": 3, "2.body": "tied", "2.growth": 1.25, "2.entry": "pool 3x3"}
        | {"2.kernel": 3, "2.repeats": 3, "head": "average"},
    ),
    "tied convolutions behind a stem at full resolution, 99.6 % with 9,756": (
        "cnn",
        (
            Convolution(width=10),
            Pool(),
            Convolution(width=16),
            ResidualConvolution(repeats=2),
            Pool(),
            Convolution(width=18),
            ResidualConvolution(repeats=2),
            GlobalAverage(),
        ),
        {"activation": "relu", "stem.kernel": 3, "stem.halving": "none", "stages": 3, "head": "average"}
        | {"2.body": "tied", "2.growth": 1.6, "2.entry": "pool 3x3", "2.kernel": 3, "2.repeats": 2}
        | {"3.body": "tied", "3.growth": 1.125, "3.entry": "pool 3x3", "3.kernel": 3, "3.repeats": 2},
    ),
    "plain convolutions, flattened": (
        "cnn",
        (
            Convolution(width=8, kernel=5, stride=2),
            Convolution(width=8),
            Pool(),
            Convolution(width=14),
            Convolution(width=14),
            Pool(),
        ),
        STEM
        | {"1.body": "plain", "1.kernel": 3, "2.body": "plain", "2.growth": 1.75, "2.entry": "pool 3x3"}
        | {"2.kernel": 3, "head": "flatten"},
    ),
    "tied inverted residuals, 99.5 % with 7,858": (
        "depthwise",
        (
            Convolution(width=16, kernel=5, stride=2),
            InvertedResidual(expansion=2, repeats=2),
            Pool(),
            Convolution(width=24, kernel=1),
            InvertedResidual(expansion=3, repeats=3),
            GlobalAverage(),
        ),
        STEM
        | {"1.body": "inverted", "1.repeats": 2, "1.kernel": 3, "1.expansion": 2, "1.squeeze": False}
        | {"2.body": "inverted", "2.growth": 1.5, "2.entry": "pool 1x1", "2.repeats": 3, "2.kernel": 3}
        | {"2.expansion": 3, "2.squeeze": False},
    ),
    "tied separable convolutions with gates": (
        "depthwise",
        (
            Convolution(width=16, kernel=5, stride=2),
            ResidualSeparable(repeats=3, kernel=7),
            SqueezeExcite(width=4),
            Separable(width=24, stride=2),
            ResidualSeparable(repeats=4),
            SqueezeExcite(width=6),
            GlobalAverage(),
        ),
        STEM
        | {"1.body": "separable", "1.repeats": 3, "1.kernel": 7, "1.squeeze": True}
        | {"2.body": "separable", "2.growth": 1.5, "2.entry": "3x3/2", "2.repeats": 4, "2.kernel": 3}
        | {"2.squeeze": True},
    ),
    "row-column layers, 99.3 % with 8,678": (
        "mlp",
        (Bilinear(rows=22, columns=22), Bilinear(rows=12, columns=12), Dense(width=36)),
        {"activation": "relu", "kind": "rows and columns", "stem": False, "heads": 1, "1.columns": 1.0, "layers": 2}
        | {"2.residual": False, "2.rows": 12 / 22, "2.columns": 12 / 22, "head": "hidden", "hidden": 36 / 22},
    ),
    "two heads a channel of row-column layers on a convolution": (
        "mlp",
        (
            Convolution(width=2, kernel=5, stride=2),
            Bilinear(rows=10, columns=8, heads=2),
            Bilinear(rows=10, columns=8, heads=1),
            Bilinear(rows=5, columns=4, heads=1),
        ),
        {"activation": "relu", "kind": "rows and columns", "stem": True, "stem.width": 0.2, "heads": 2, "layers": 3}
        | {"1.columns": 0.8, "2.residual": True, "3.residual": False, "3.rows": 0.5, "3.columns": 0.5}
        | {"head": "flatten"},
    ),
    "convolutions and a CfC over columns, 99.1 % with 7,978": (
        "liquid",
        (
            Convolution(width=8, kernel=5, stride=2),
            Convolution(width=8, stride=2),
            LiquidScan(cell="cfc", hidden=32, axis="columns"),
        ),
        {"activation": "relu", "kind": "scan", "axis": "columns", "convolutions": 2, "hidden": 4.0, "cell": "cfc"}
        | {"both_directions": False, "readout": "last"},
    ),
    "an LTC over patches": (
        "liquid",
        (
            Patches(side=7, width=10),
            LiquidScan(cell="ltc", hidden=20, axis="positions", both_directions=True, unfolds=2, readout="mean"),
        ),
        {"activation": "relu", "kind": "scan", "axis": "positions", "tokens": "patches", "patch": 7, "hidden": 2.0}
        | {"cell": "ltc", "unfolds": 2, "both_directions": True, "readout": "mean"},
    ),
    "all kinds, read by a mixer": (
        "hybrid",
        (
            Convolution(width=12, kernel=5, stride=2),
            LiquidConvolution(unfolds=2),
            Pool(),
            Separable(width=18),
            InvertedResidual(expansion=1),
            Mixer(token_width=6, channel_width=12),
            GlobalAverage(),
        ),
        STEM
        | {"1.body": "liquid", "1.repeats": 2, "1.kernel": 3, "2.body": "inverted", "2.growth": 1.5}
        | {"2.entry": "pool 3x3", "2.repeats": 1, "2.kernel": 3, "2.expansion": 1, "head": "mixer", "tokens": 0.5},
    ),
    "all kinds, read by a row-column layer": (
        "hybrid",
        (
            Convolution(width=8, kernel=5, stride=2),
            ResidualConvolution(repeats=2),
            Pool(),
            Convolution(width=10, kernel=1),
            Convolution(width=10, kernel=5),
            Bilinear(rows=2, columns=3),
        ),
        STEM
        | {"1.body": "tied", "1.repeats": 2, "1.kernel": 3, "2.body": "plain", "2.growth": 1.25}
        | {"2.entry": "pool 1x1", "2.kernel": 5, "head": "rows and columns", "rows": 2, "columns": 3},
    ),
}


class Answers:
    """A trial that has an answer to everything and is asked for all of them."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.left = dict(answers)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        assert low <= self.left[name] <= high, name
        return int(self.left.pop(name))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        assert low <= self.left[name] <= high, name
        return float(self.left.pop(name))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        assert self.left[name] in choices, name
        return self.left.pop(name)


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_made_by_hand_can_be_drawn(name: str) -> None:
    family, blocks, answers = DESIGNS[name]
    design = Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=blocks)
    params = {"family": family, "size": float(design.cost().parameters)}
    params |= {f"{family}.{what}": answer for what, answer in answers.items()}
    trial = Answers(params)
    assert suggest(trial, Domain(), design.shape, design.classes) == design
    assert trial.left == {}
    assert suggest(RandomTrial(random.Random(0), params), Domain(), design.shape, design.classes) == design
