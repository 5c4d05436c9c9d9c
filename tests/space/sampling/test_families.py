"""Strong designs made by hand, and students that were found, are draws of the domain."""

import random
from typing import Any

import pytest

from space.architecture import AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer, Patches
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial
from studies.shipped import find, names

STEM: dict[str, Any] = {"activation": "relu", "stem.kernel": 5, "stem.halving": "stride", "stages": 2}
WHOLE: dict[str, Any] = {"activation": "silu", "stem.kernel": 5, "stem.halving": "none", "stages": 3}

BILINEAR = WHOLE | {"activation": "prelu", "stem.kernel": 3, "stages": 2}
BILINEAR |= {"head of one kind": "rows and columns", "columns": 2}


def stage(number: int, body: str, **params: Any) -> dict[str, Any]:
    """Parameters of a stage; its entry is a maximum over 2×2 and a 3×3 layer unless another is given."""
    params = {"body": body, "kernel": 3} | ({"entry": "pool 3x3"} if number > 1 else {}) | params
    if str(params.get("entry")).startswith("pool"):
        params = {"pool": "max"} | params
    return {f"{number}.{name}": value for name, value in params.items()}


SHIPPED: dict[str, dict[str, Any]] = {
    "tied-cnn": STEM
    | stage(1, "tied", repeats=3)
    | stage(2, "tied", repeats=3, growth=1.25)
    | {"head": "average", "hidden": False},
    "tied-cnn-4k": STEM
    | stage(1, "tied", repeats=3)
    | stage(2, "tied", repeats=3, growth=1.2)
    | {"head": "average", "hidden": False},
    "flat-cnn": STEM
    | {"activation": "hardswish", "stem.halving": "pool"}
    | stage(1, "tied", repeats=2)
    | stage(2, "plain", layers=1, growth=1.75)
    | {"head": "flatten", "hidden": False},
    "flat-cnn-1k": STEM
    | {"activation": "hardswish", "stem.halving": "none"}
    | stage(2, "plain", layers=1, growth=0.8)
    | {"head": "flatten", "hidden": False},
    "stem-cnn-4k": WHOLE
    | {"activation": "silu", "stem.kernel": 3, "stages": 2}
    | stage(2, "tied", repeats=4, growth=1.506, entry="pool 1x1", pool="average")
    | {"head": "average", "hidden": True, "hidden.width": 4.0},
    "stem-cnn-10k": WHOLE
    | {"activation": "hardswish", "stem.kernel": 3, "stages": 2}
    | stage(2, "tied", repeats=4, growth=1.507, entry="pool 1x1", pool="average")
    | {"head": "flatten", "hidden": True, "hidden.width": 3.544},
    "wide-stem-cnn": WHOLE
    | {"activation": "prelu", "stem.kernel": 7}
    | stage(2, "plain", layers=1, growth=1.04)
    | stage(3, "plain", layers=1, growth=2.0, entry="pool 1x1")
    | {"head": "average", "hidden": True, "hidden.width": 2.6},
    "tied-depthwise": STEM
    | stage(1, "inverted", repeats=2, expansion=2, squeeze=False)
    | stage(2, "inverted", repeats=3, expansion=3, squeeze=False, growth=1.5, entry="pool 1x1"),
    "tied-depthwise-1k": WHOLE
    | stage(2, "separable", repeats=4, kernel=5, squeeze=False, growth=2.0, entry="3x3/2")
    | stage(3, "separable", repeats=2, squeeze=False, growth=1.125, entry="3x3/2"),
    "tied-depthwise-2k": WHOLE
    | stage(2, "separable", repeats=4, kernel=5, squeeze=False, growth=1.5, entry="3x3/2")
    | stage(3, "separable", repeats=4, squeeze=False, growth=4 / 3, entry="3x3/2"),
    "tied-depthwise-4k": WHOLE
    | {"stem.kernel": 7}
    | stage(2, "separable", repeats=4, kernel=5, squeeze=True, growth=1.6, entry="3x3/2")
    | stage(3, "inverted", repeats=4, expansion=1, squeeze=False, growth=1.25, entry="3x3/2"),
    "tied-depthwise-10k": WHOLE
    | {"stem.kernel": 7}
    | stage(2, "separable", repeats=4, kernel=5, squeeze=True, growth=1.75, entry="3x3/2")
    | stage(3, "inverted", repeats=4, expansion=1, squeeze=False, growth=40 / 28, entry="3x3/2"),
    "row-column": {"activation": "relu", "kind": "rows and columns", "stem": False, "heads": 1, "layers": 2}
    | {"1.columns": 1.0, "2.residual": False, "2.rows": 12 / 22, "2.columns": 12 / 22}
    | {"hidden": True, "hidden.width": 36 / 22},
    "row-column-stem": {"activation": "relu", "kind": "rows and columns", "stem": True, "heads": 1, "layers": 1}
    | {"stem.width": 16 / 6, "1.columns": 1.0, "hidden": True, "hidden.width": 14 / 6},
    "liquid-cnn": STEM
    | {"kind": "maps", "1.repeats": 3, "1.kernel": 3, "2.repeats": 3, "2.kernel": 3, "2.growth": 1.25}
    | {"2.entry": "pool 3x3", "2.pool": "max"},
    "tied-hybrid": STEM
    | stage(1, "tied", repeats=3)
    | stage(2, "inverted", repeats=3, expansion=3, growth=1.5, entry="pool 1x1")
    | {"head": "average"},
    "bilinear-hybrid-1k": BILINEAR
    | {"activation": "silu", "rows": 2}
    | stage(2, "separable", repeats=3, growth=1.77, entry="pool 1x1"),
    "bilinear-hybrid-2k": BILINEAR | {"rows": 2} | stage(2, "separable", repeats=3, growth=1.77, entry="pool 1x1"),
    "stem-hybrid-1k": BILINEAR
    | {"activation": "silu", "rows": 3, "columns": 1}
    | stage(2, "separable", repeats=3, growth=0.8, entry="3x3/2"),
    "stem-hybrid-500": BILINEAR | {"rows": 2} | stage(2, "separable", repeats=4, growth=0.8, entry="3x3/2"),
    "bilinear-hybrid-4k": BILINEAR
    | {"stem.kernel": 7, "rows": 3}
    | stage(2, "inverted", repeats=4, kernel=5, expansion=1, growth=1.95, entry="pool 1x1"),
}

DESIGNS: dict[str, tuple[Family, tuple[AnyBlock, ...], dict[str, Any]]] = {
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
        {"activation": "relu", "stem.kernel": 3, "stem.halving": "none", "stages": 3}
        | stage(2, "tied", repeats=2, growth=1.6)
        | stage(3, "tied", repeats=2, growth=1.125)
        | {"head": "average", "hidden": False},
    ),
    "plain convolutions, averaged, flattened, a hidden layer": (
        "cnn",
        (
            Convolution(width=8, kernel=5, stride=2),
            Convolution(width=8),
            Convolution(width=8),
            Pool(mode="average"),
            Convolution(width=14),
            Convolution(width=14),
            Pool(),
            Dense(width=16),
        ),
        STEM
        | stage(1, "plain", layers=2)
        | stage(2, "plain", layers=1, growth=1.75, entry="pool 3x3", pool="average")
        | {"head": "flatten", "hidden": True, "hidden.width": 2.0},
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
        | stage(1, "separable", repeats=3, kernel=7, squeeze=True)
        | stage(2, "separable", repeats=4, squeeze=True, growth=1.5, entry="3x3/2"),
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
        | {"hidden": False},
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
        | stage(1, "liquid", repeats=2)
        | stage(2, "inverted", repeats=1, expansion=1, growth=1.5)
        | {"head": "mixer", "tokens": 0.5},
    ),
    "convolutions read by a row-column layer": (
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
        | stage(1, "tied", repeats=2)
        | stage(2, "plain", layers=1, kernel=5, growth=1.25, entry="pool 1x1")
        | {"head of one kind": "rows and columns", "rows": 2, "columns": 3},
    ),
}


class StrictTrial:
    """A trial of fixed parameters, each of which must be suggested within its distribution, and once."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.left = dict(params)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        assert low <= self.left[name] <= high, name
        return int(self.left.pop(name))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        assert low <= self.left[name] <= high, name
        return float(self.left.pop(name))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        assert self.left[name] in choices, name
        return self.left.pop(name)


def check(design: Architecture, structure: dict[str, Any]) -> None:
    params = {"family": design.family, "size": float(design.cost().parameters)}
    params |= {f"{design.family}.{name}": value for name, value in structure.items()}
    trial = StrictTrial(params)
    assert suggest(trial, Domain(), design.shape, design.classes) == design
    assert trial.left == {}
    assert suggest(RandomTrial(random.Random(0), params), Domain(), design.shape, design.classes) == design


@pytest.mark.parametrize("name", [name for name in names() if name != "wide-cnn"])
def test_a_shipped_student_can_be_drawn(name: str) -> None:
    check(find(name), SHIPPED[name])


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_made_by_hand_can_be_drawn(name: str) -> None:
    family, blocks, structure = DESIGNS[name]
    check(Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=blocks), structure)
