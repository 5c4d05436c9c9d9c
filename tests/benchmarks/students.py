"""Five reference students, one a family, that the benchmarks share."""

from space.architecture import AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import ResidualSeparable, Separable
from space.blocks.liquid import LiquidScan
from studies.shipped import find

BLOCKS: dict[Family, tuple[AnyBlock, ...]] = {
    "depthwise": (
        Convolution(width=16, kernel=5, stride=2),
        ResidualSeparable(repeats=3),
        Pool(),
        ResidualSeparable(repeats=4),
        Separable(width=24),
        GlobalAverage(),
    ),
    "liquid": (
        Convolution(width=8, kernel=5, stride=2),
        Convolution(width=8, stride=2),
        LiquidScan(cell="cfc", hidden=32, axis="columns"),
    ),
    "hybrid": (
        Convolution(width=8, kernel=5, stride=2),
        ResidualConvolution(repeats=2),
        Pool(),
        Separable(width=16),
        LiquidScan(cell="cfc", hidden=16, axis="columns"),
    ),
}

STUDENTS = [
    find("tied-cnn"),
    find("row-column"),
    *(Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=blocks) for family, blocks in BLOCKS.items()),
]
