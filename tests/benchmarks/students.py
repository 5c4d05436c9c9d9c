"""Five reference students, one a family, that the benchmarks share."""

from space.architecture import AnyBlock, Architecture, Family
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import ResidualSeparable, Separable
from space.blocks.liquid import LiquidScan
from space.blocks.mlp import Bilinear, Dense

BLOCKS: dict[Family, tuple[AnyBlock, ...]] = {
    "cnn": (
        Convolution(width=16, kernel=5, stride=2),
        ResidualConvolution(repeats=3),
        Pool(),
        Convolution(width=20),
        ResidualConvolution(repeats=3),
        GlobalAverage(),
    ),
    "depthwise": (
        Convolution(width=16, kernel=5, stride=2),
        ResidualSeparable(repeats=3),
        Pool(),
        ResidualSeparable(repeats=4),
        Separable(width=24),
        GlobalAverage(),
    ),
    "mlp": (Bilinear(rows=22, columns=22), Bilinear(rows=12, columns=12), Dense(width=36)),
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
    Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=blocks) for family, blocks in BLOCKS.items()
]
