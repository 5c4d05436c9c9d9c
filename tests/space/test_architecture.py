import json
from pathlib import Path

import pytest
import torch

from space.architecture import Architecture, Family, from_json, read
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Matrix, Mixer, Patches
from space.describe import describe
from space.errors import InputError
from space.network import build


def architecture(*blocks: object, family: Family = "cnn") -> Architecture:
    return Architecture(family=family, shape=(1, 28, 28), classes=10, blocks=blocks)  # type: ignore[arg-type]


CNN = architecture(Convolution(width=8), Pool(), ResidualConvolution(repeats=2, activation="silu"), GlobalAverage())

# a digest names folders and ledger rows of a study: when one of these changes, its results are no longer found
GOLDEN = {
    "b49864cf70ee": architecture(
        Convolution(width=6, stride=2),
        Bilinear(rows=7, columns=6, heads=3),
        Bilinear(rows=7, columns=6, heads=1, activation="silu"),
        family="mlp",
    ),
    "d9e75e4e025c": architecture(
        Separable(width=6, kernel=7, stride=2), SqueezeExcite(width=2), GlobalAverage(), family="depthwise"
    ),
    "efe5b048a8f7": architecture(
        Patches(side=7, width=9), LiquidScan(cell="cfc", hidden=8, axis="positions", readout="mean"), family="liquid"
    ),
    "08aee517ff66": Architecture(
        family="mlp", shape=(40, 3), classes=4, blocks=(Matrix(), Bilinear(rows=6, columns=2), Dense(width=5))
    ),
    "6a33394ac775": CNN,
    "b06365af9822": architecture(
        Convolution(width=6, kernel=5, stride=2),
        ResidualSeparable(repeats=3),
        Pool(),
        Separable(width=12, kernel=5, activation="prelu"),
        InvertedResidual(expansion=3),
        GlobalAverage(),
        family="depthwise",
    ),
    "539cc7874b04": architecture(Bilinear(rows=14, columns=12), Dense(width=20), family="mlp"),
    "8f58dec69ee5": architecture(LiquidScan(cell="ltc", hidden=9, both_directions=True), family="liquid"),
    "b041bc6ed498": architecture(
        Patches(side=4, width=8),
        LiquidConvolution(unfolds=3),
        Mixer(token_width=9, channel_width=7, repeats=2, activation="hardswish"),
        GlobalAverage(),
        family="hybrid",
    ),
}


@pytest.mark.parametrize("digest", GOLDEN)
def test_digests_never_change(digest: str) -> None:
    assert GOLDEN[digest].digest == digest


def test_the_digest_names_the_network_not_the_family() -> None:
    assert Architecture(family="hybrid", shape=CNN.shape, classes=10, blocks=CNN.blocks).digest == CNN.digest
    assert Architecture(family="cnn", shape=CNN.shape, classes=11, blocks=CNN.blocks).digest != CNN.digest
    assert Architecture(family="cnn", shape=(3, 28, 28), classes=10, blocks=CNN.blocks).digest != CNN.digest


@pytest.mark.parametrize(
    ("shape", "one", "other"),
    [
        ((2, 1, 1), Pool(), Pool(mode="average")),
        ((2, 1, 1), Convolution(width=3), Convolution(width=3, kernel=5, stride=2)),
        ((2, 8, 5), Convolution(width=3, stride=8), Convolution(width=3, stride=9)),
        ((2, 1, 1), LiquidScan(cell="cfc", hidden=3), LiquidScan(cell="cfc", hidden=3, axis="columns", readout="mean")),
        (
            (2, 1, 5),
            LiquidScan(cell="cfc", hidden=3, axis="columns"),
            LiquidScan(cell="cfc", hidden=3, axis="positions"),
        ),
        ((1, 5, 5), Bilinear(rows=2, columns=2), Bilinear(rows=2, columns=2, heads=1)),
    ],
    ids=str,
)
def test_descriptions_of_the_same_network_share_a_digest(shape: tuple[int, ...], one: object, other: object) -> None:
    def of(block: object, shape: tuple[int, ...]) -> Architecture:
        return Architecture(family="cnn", shape=shape, classes=3, blocks=(block,))  # type: ignore[arg-type]

    assert of(one, shape).digest == of(other, shape).digest
    assert of(one, (2, 10, 10)).digest != of(other, (2, 10, 10)).digest
    outputs = []
    for block in (one, other):
        torch.manual_seed(0)
        outputs.append(build(of(block, shape))(torch.ones(2, *shape)))
    assert torch.equal(*outputs)


def test_fields_with_a_default_may_be_left_out() -> None:
    blocks = [{"kind": "bilinear", "rows": 14, "columns": 12}, {"kind": "liquid_scan", "cell": "cfc", "hidden": 3}]
    text = json.dumps({"family": "mlp", "shape": [1, 28, 28], "classes": 10, "blocks": blocks})
    expected = architecture(Bilinear(rows=14, columns=12), LiquidScan(cell="cfc", hidden=3), family="mlp")
    assert from_json(text) == expected == from_json(expected.to_json())


def test_layers_in_short() -> None:
    assert describe(CNN) == "3×3 convolution 8 → pool max → 3×3 residual convolution ×2 → global average"
    scans = (LiquidScan(cell="cfc", hidden=8), LiquidScan(cell="ltc", hidden=4, readout="mean"))
    assert describe(architecture(*scans, family="liquid")) == (
        "liquid scan cfc hidden 8 rows unfolds 1 → liquid scan ltc hidden 4 rows unfolds 1 readout mean"
    )


GOOD = json.loads(CNN.to_json())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": 1}, "colour"),
        ({"family": "transformer"}, "family"),
        ({"classes": "10"}, "classes"),
        ({"classes": 1}, "classes"),
        ({"shape": [28]}, "shape"),
        ({"shape": [1, 1, 28, 28]}, "shape"),
        ({"shape": [0, 28, 28]}, "shape"),
        ({"blocks": []}, "blocks"),
        ({"blocks": [{"kind": "attention"}]}, "blocks"),
        ({"blocks": [{"width": 8}]}, "blocks"),
        ({"blocks": [{"kind": "convolution"}]}, "width"),
        ({"blocks": [{"kind": "convolution", "width": 8, "dilation": 2}]}, "dilation"),
        ({"blocks": [{"kind": "convolution", "width": 8.0}]}, "width"),
        ({"blocks": [{"kind": "convolution", "width": True}]}, "width"),
        ({"blocks": [{"kind": "convolution", "width": 8, "kernel": 4}]}, "kernel"),
        ({"blocks": [{"kind": "convolution", "width": 8, "activation": "gelu"}]}, "activation"),
        ({"blocks": [{"kind": "liquid_scan", "cell": "gru", "hidden": 4}]}, "cell"),
    ],
    ids=str,
)
def test_a_wrong_architecture_is_refused_in_one_line(change: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        from_json(json.dumps(GOOD | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["family", "shape", "classes", "blocks"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(InputError, match=key):
        from_json(json.dumps({k: v for k, v in GOOD.items() if k != key}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"cnn"'])
def test_text_that_is_no_architecture_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="not an architecture") as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


def test_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "architecture.json"
    path.write_text(CNN.to_json())
    assert read(path) == CNN
    with pytest.raises(InputError, match="no architecture file"):
        read(tmp_path / "missing.json")
