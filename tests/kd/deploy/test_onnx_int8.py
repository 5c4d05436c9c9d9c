"""Integers as ONNX: 8-bit weights in the file, answers of the reference, each layer within a step of it."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from deployed import random_samples, random_student

from kd.deploy.calibration import Calibration, calibrate
from kd.deploy.integers import IntegerProgram
from kd.deploy.lower import lower
from kd.deploy.onnx import ExportError, stored_values
from kd.deploy.onnx_int8 import FAR, Agreement, compare_int8, export_int8_onnx, int8_onnx_content
from kd.deploy.program import Program
from kd.deploy.quantize import quantize
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer, Patches

STEM = Convolution(width=4, kernel=3, stride=2, activation="relu")
BLOCKS: dict[str, tuple[AnyBlock, ...]] = {
    "convolution": (STEM,),
    "residual": (STEM, ResidualConvolution(repeats=2)),
    "separable": (STEM, Separable(width=6, activation="hardswish")),
    "tied separable": (STEM, ResidualSeparable(repeats=2, activation="leaky_relu")),
    "inverted": (STEM, InvertedResidual(repeats=2)),
    "gates": (STEM, SqueezeExcite(width=2), GlobalAverage()),
    "pools": (Pool(mode="average"), STEM, Pool(mode="max")),
    "row-column": (Bilinear(rows=5, columns=6, activation="prelu"),),
    "mixer": (Patches(side=4, width=5), Mixer(token_width=6, channel_width=7, repeats=2)),
    "dense": (Dense(width=9, activation="silu"),),
    "liquid maps": (STEM, LiquidConvolution(unfolds=2)),
    "closed form": (STEM, LiquidScan(cell="cfc", hidden=5, both_directions=True, readout="mean")),
    "time constants": (STEM, LiquidScan(cell="ltc", hidden=5, axis="columns")),
}


def exported(blocks: tuple[AnyBlock, ...]) -> tuple[onnx.ModelProto, Agreement, int]:
    """The model, how it agrees with its reference, and how many weights of it have 8 bits."""
    architecture = Architecture(family="hybrid", shape=(1, 16, 12), classes=10, blocks=blocks)
    student, samples = random_student(architecture), random_samples(architecture.shape, 64)
    program = lower(student)
    calibration = calibrate(program, samples[:48])
    content = int8_onnx_content(student, program, calibration)
    integers = quantize(program, calibration)
    weights = sum(weight.numel() for one in integers.operations for weight in one.weights.values())
    return onnx.load_from_string(content), compare_int8(content, integers, samples), weights


@pytest.mark.parametrize("name", BLOCKS)
def test_layers_are_within_a_step_of_the_reference(name: str) -> None:
    model, found, weights = exported(BLOCKS[name])
    assert found.within > (0.98 if name == "time constants" else 0.999)
    assert found.far < 0.01
    assert found.alike > 0.98  # logits of random weights lie close together
    held = sum(int(np.prod(one.dims)) for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT8)
    if name == "time constants":
        assert {"float": "LTC cells"}.items() <= {p.key: p.value for p in model.metadata_props}.items()
    else:
        assert held >= weights  # zeros of activations are there, too
        architecture = Architecture(family="hybrid", shape=(1, 16, 12), classes=10, blocks=BLOCKS[name])
        floats = stored_values(model)
        assert floats < architecture.cost().deployed_parameters
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["QuantizeLinear"] and kinds["DequantizeLinear"] > kinds["QuantizeLinear"]


def test_one_that_is_far_from_the_reference_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = Architecture(family="hybrid", shape=(1, 16, 12), classes=10, blocks=BLOCKS["separable"])
    student, samples = random_student(architecture), random_samples(architecture.shape, 64)
    program = lower(student)
    calibration = calibrate(program, samples)
    export_int8_onnx(student, program, calibration, tmp_path / "sound.onnx", samples)
    assert (tmp_path / "sound.onnx").is_file()

    def other(_: Program, calibration: Calibration) -> IntegerProgram:
        return quantize(lower(random_student(architecture, seed=1)), calibration)

    monkeypatch.setattr("kd.deploy.onnx_int8.quantize", other)
    with pytest.raises(ExportError, match=rf"deviations from those of the C, limit {FAR}"):
        export_int8_onnx(student, program, calibration, tmp_path / "wrong.onnx", samples)
    assert not (tmp_path / "wrong.onnx").exists()
