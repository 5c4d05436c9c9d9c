"""The frozen, hashable description of one student, its digest and its JSON."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from space.blocks.base import InputShape, Shape, maps, size
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer, Patches
from space.cost import Cost
from space.errors import InputError

Family = Literal["cnn", "depthwise", "mlp", "liquid", "hybrid"]
FAMILIES: tuple[Family, ...] = ("cnn", "depthwise", "mlp", "liquid", "hybrid")

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

    The input is an image (channels, height, width) or a sequence (time, features).

    Two architectures of the same blocks are the same network and share a digest, whatever family drew them.
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
            memory=features + self.classes,
        )
        return [*(block.cost(shape) for block, shape in zip(self.blocks, shapes, strict=True)), classifier]

    def cost(self) -> Cost:
        """Cost of the whole student."""
        return reduce(add, self.costs())

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name the network, the same in every process and release.

        They are of the shape, the classes and the blocks in their one canonical form: a field that is None is left out,
        a number that says more than the input's shape allows is brought down to it, one without effect is 1.
        """
        content = {
            "shape": self.shape,
            "classes": self.classes,
            "blocks": [_canonical(block, shape) for block, shape in zip(self.blocks, self.shapes(), strict=False)],
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, object]:
        """What JSON says of the architecture; fields that are None are left out."""
        return asdict(self) | {"blocks": [_fields(block) for block in self.blocks]}

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back."""
        return json.dumps(self.to_dict())


def _fields(block: AnyBlock) -> dict[str, object]:
    # fields that came after the first release are None unless used: older architectures keep their JSON and digest
    return {name: value for name, value in asdict(block).items() if value is not None}


def _canonical(block: AnyBlock, shape: Shape) -> dict[str, object]:
    """What the digest is made of: equal for blocks that build the same module on an input of `shape`."""
    content, longest = _fields(block), max(shape[1:])
    if isinstance(block, Convolution | Separable):
        content["stride"] = min(block.stride, longest)
    if isinstance(block, InvertedResidual | Patches):
        content["norm"] = "scaling"  # in earlier networks of the same description it also shifted
    match block:
        case LiquidScan():
            if block.cell == "cfc":
                content["unfolds"] = 1
            if longest == 1:
                content["axis"] = "rows"
                content.pop("readout", None)
            elif block.axis == "positions" and 1 in shape[1:]:
                content["axis"] = "rows" if shape[2] == 1 else "columns"
        case Pool() if longest == 1:
            content["mode"] = "max"
        case Bilinear(heads=1) if shape[0] == 1:
            content.pop("heads")
        case Patches():
            content["side"] = min(block.side, longest)
        case (
            Convolution()
            | ResidualConvolution()
            | Separable()
            | ResidualSeparable()
            | InvertedResidual()
            | LiquidConvolution()
        ):
            content["kernel"] = min(block.kernel, 2 * longest - 1)
    return content


_ADAPTER = TypeAdapter(Architecture)


def from_json(text: str | bytes) -> Architecture:
    """Read an architecture; raises InputError that names the first thing wrong."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"not an architecture: {place}: {first['msg'].removeprefix('Value error, ').lower()}"
        ) from error


def read(path: Path) -> Architecture:
    """Read an architecture from a JSON file; raises InputError."""
    if not path.is_file():
        raise InputError(f"no architecture file at {path}: check the path")
    return from_json(path.read_bytes())
