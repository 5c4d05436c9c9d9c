"""The frozen, hashable description of one student, its digest and its JSON."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from space.blocks.base import InputShape, Shape, maps, size
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer, Patches
from space.cost import Cost
from space.errors import InputError, rule

Family = Literal["cnn", "depthwise", "mlp", "liquid", "hybrid"]
FAMILIES: tuple[Family, ...] = ("cnn", "depthwise", "mlp", "liquid", "hybrid")

# the one list of blocks: a new kind is named here, all else about it is in its class
AnyBlock = Annotated[
    Convolution
    | ResidualConvolution
    | Pool
    | GlobalAverage
    | Separable
    | ResidualSeparable
    | InvertedResidual
    | SqueezeExcite
    | Dense
    | Bilinear
    | Matrix
    | Patches
    | Mixer
    | LiquidScan
    | LiquidConvolution,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One student: blocks from an input of `shape`, then a linear layer to `classes`.

    The input is an image (channels, height, width) or a sequence (time, features). Two architectures that build the
    same network share a digest, whatever their family and however their blocks are described.

    >>> from space.architecture import Architecture
    >>> from space.blocks.convolution import Convolution, GlobalAverage
    >>> blocks = (Convolution(width=8, kernel=5, stride=2), GlobalAverage())
    >>> student = Architecture(family="cnn", shape=(1, 28, 28), classes=10, blocks=blocks)
    >>> student.shapes()
    [(1, 28, 28), (8, 14, 14), (8, 1, 1)]
    >>> student.cost().parameters
    306
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    family: Family
    shape: InputShape
    classes: Annotated[int, Field(ge=2)]
    blocks: Annotated[tuple[AnyBlock, ...], Field(min_length=1)]

    def shapes(self) -> list[Shape]:
        """Input shape of every block, then that of the classifier."""
        shapes = [maps(self.shape)]
        for block in self.blocks:
            shapes.append(block.output(shapes[-1]))
        return shapes

    def costs(self) -> list[Cost]:
        """Cost of every block, then that of the classifier with its bias."""
        *shapes, last = self.shapes()
        features = size(last)
        classifier = Cost.of(
            weights=features * self.classes,
            trained=self.classes,
            kept=self.classes,
            macs=features * self.classes,
            memory=features,
            multipliers=self.classes,
        )
        return [*(_cost(block, shape) for block, shape in zip(self.blocks, shapes, strict=True)), classifier]

    def cost(self) -> Cost:
        """Cost of the whole student."""
        return Cost.total(self.costs())

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name the network, the same in every process.

        Made of the shape, the classes and the canonical form of every block.
        """
        blocks = [_canonical(block, shape) for block, shape in zip(self.blocks, self.shapes(), strict=False)]
        content = {"shape": self.shape, "classes": self.classes, "blocks": blocks}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, object]:
        """The architecture as JSON has it."""
        return asdict(self)

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back."""
        return json.dumps(self.to_dict())


@lru_cache(maxsize=10_000)
def _cost(block: AnyBlock, shape: Shape) -> Cost:
    """A block's cost: a search asks for the same block again and again."""
    return block.cost(shape)


@lru_cache(maxsize=10_000)
def _canonical(block: AnyBlock, shape: Shape) -> dict[str, object]:
    """What of a block the digest is made of, not to be changed."""
    return asdict(block.canonical(shape))


_ADAPTER = TypeAdapter(Architecture)


def from_json(text: str | bytes) -> Architecture:
    """Read an architecture; raises InputError that names the first thing wrong."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"not an architecture: {place}: {rule(first)}") from error


def read(path: Path) -> Architecture:
    """Read an architecture from a JSON file; raises InputError."""
    if not path.is_file():
        raise InputError(f"no architecture file at {path}: check the path")
    try:
        return from_json(path.read_bytes())
    except InputError as error:
        raise InputError(f"{path} is {error}") from error
