import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from kd.data.dataset import DataSet, Split
from kd.deploy.onnx import ExportError, compare, export_onnx
from kd.students.evaluate import normalise
from kd.students.file import load_student, save_student
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage, Pool, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite
from space.blocks.liquid import LiquidConvolution, LiquidScan
from space.blocks.mlp import Bilinear, Dense, Mixer, Patches
from space.errors import InputError
from space.network import build

STEM = Convolution(width=4, kernel=5, stride=2, activation="leaky_relu")
STUDENTS: dict[str, tuple[AnyBlock, ...]] = {
    "cnn": (
        STEM,
        Pool(),
        ResidualConvolution(repeats=2, activation="prelu"),
        Convolution(width=6, activation="hardswish"),
        GlobalAverage(),
    ),
    "depthwise": (
        STEM,
        ResidualSeparable(repeats=2),
        SqueezeExcite(width=2),
        Pool(),
        Separable(width=6),
        InvertedResidual(),
        GlobalAverage(),
    ),
    "row-column": (Bilinear(rows=12, columns=28), Bilinear(rows=12, columns=28, activation="prelu"), Dense(width=9)),
    "heads": (STEM, Bilinear(rows=5, columns=6, heads=2), Bilinear(rows=5, columns=6, heads=1)),
    "dense": (Pool(mode="average"), Pool(mode="average"), Dense(width=12, activation="silu")),
    "mixer": (Patches(side=7, width=5), Mixer(token_width=6, channel_width=7, repeats=2), GlobalAverage()),
    "liquid maps": (STEM, LiquidConvolution(unfolds=3), GlobalAverage()),
    "ltc": (STEM, Pool(), LiquidScan(cell="ltc", hidden=5, axis="columns", both_directions=True, unfolds=2)),
    "cfc": (STEM, Pool(), LiquidScan(cell="cfc", hidden=5, both_directions=True)),
}


def written(path: Path, blocks: tuple[AnyBlock, ...], data: DataSet) -> Path:
    """A student file with batch-norm statistics of real images and weights off their initial values."""
    architecture = Architecture(family="hybrid", shape=data.shape, classes=data.classes, blocks=blocks)
    torch.manual_seed(0)
    module = build(architecture)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for images in data.train.images.split(250):
            module(normalise(images, data, torch.device("cpu")))
    save_student(path, module.state_dict(), architecture, data)
    return path


@pytest.mark.parametrize("name", STUDENTS)
def test_exports_compute_what_pytorch_does_for_any_batch(
    name: str, tmp_path: Path, small_data: DataSet, capfd: pytest.CaptureFixture[str]
) -> None:
    student_path, onnx_path = written(tmp_path / "student", STUDENTS[name], small_data), tmp_path / "student.onnx"
    assert export_onnx(student_path, onnx_path, small_data.test.images) < 1e-5
    assert capfd.readouterr() == ("", "")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["student", "student.onnx"]
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("image", "tensor(float)", [1, 28, 28])
    assert (given.name, given.type, given.shape[1:]) == ("logits", "tensor(float)", [10])
    student = load_student(student_path)
    for count in (1, 2, 33, 300):
        pixels = small_data.test.images[:count].float() / 255
        (answer,) = session.run(["logits"], {"image": pixels.numpy()})
        with torch.no_grad():
            expected = student.module(normalise(small_data.test.images[:count], small_data, torch.device("cpu")))
        np.testing.assert_allclose(answer, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_classes_keep_their_names(tmp_path: Path, small_data: DataSet) -> None:
    named = replace(small_data, names=tuple(f"digit {c}" for c in range(10)))
    student_path, onnx_path = written(tmp_path / "student", STUDENTS["dense"], named), tmp_path / "student.onnx"
    assert load_student(student_path).names == named.names
    export_onnx(student_path, onnx_path, named.test.images)
    session = onnxruntime.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(named.names)


def test_long_sequences_are_scanned_not_unrolled(tmp_path: Path, sequences: DataSet) -> None:
    steps, features = 1_500, sequences.shape[1]
    long = replace(sequences.first(64), train=stretched(sequences.train, steps), test=stretched(sequences.test, steps))
    block = LiquidScan(cell="cfc", hidden=4, readout="mean", both_directions=True)
    architecture = Architecture(family="liquid", shape=(steps, features), classes=long.classes, blocks=(block,))
    torch.manual_seed(0)
    save_student(tmp_path / "student", build(architecture).state_dict(), architecture, long)
    export_onnx(tmp_path / "student", tmp_path / "student.onnx", long.test.images)
    model = onnx.load(tmp_path / "student.onnx")
    assert [node.op_type for node in model.graph.node].count("Scan") == 2
    assert len(model.graph.node) < 60
    assert (tmp_path / "student.onnx").stat().st_size < 4 * load_student(tmp_path / "student").parameters + 20_000


def stretched(split: Split, steps: int) -> Split:
    """64 samples of which each is repeated to `steps` time steps."""
    images = split.images[:64]
    return Split(images=images.repeat(1, -(-steps // images.shape[1]), 1)[:, :steps], labels=split.labels[:64])


def test_exports_tell_nothing_about_the_machine_they_were_made_on(tmp_path: Path, small_data: DataSet) -> None:
    onnx_path = tmp_path / "student.onnx"
    export_onnx(written(tmp_path / "student", STUDENTS["dense"], small_data), onnx_path, small_data.test.images)
    content = onnx_path.read_bytes()
    assert b"/" + Path(__file__).parts[1].encode() + b"/" not in content
    parameters = load_student(tmp_path / "student").parameters
    assert len(content) < 4 * parameters + 10_000
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


def test_a_wrong_model_is_seen(tmp_path: Path, small_data: DataSet) -> None:
    student_path, onnx_path = written(tmp_path / "student", STUDENTS["dense"], small_data), tmp_path / "student.onnx"
    export_onnx(student_path, onnx_path, small_data.test.images)
    student = load_student(student_path)
    nn.init.constant_(student.module.classifier.bias, 0.3)
    difference, limit = compare(student, onnx_path.read_bytes(), small_data.test.images)
    assert difference > 100 * limit


def test_an_export_that_disagrees_is_not_written(tmp_path: Path, small_data: DataSet) -> None:
    # weights so large that float32 overflows: no answer at all agrees
    student_path = written(tmp_path / "student", STUDENTS["dense"], small_data)
    student = load_student(student_path)
    weights = student.module.state_dict()
    weights["classifier.weight"] = torch.full_like(weights["classifier.weight"], 3e38)
    save_student(student_path, weights, student.architecture, small_data)
    with pytest.raises(ExportError, match=r"student\.onnx"):
        export_onnx(student_path, tmp_path / "student.onnx", small_data.test.images)
    assert not (tmp_path / "student.onnx").exists()


def test_a_foreign_file_is_refused(tmp_path: Path, small_data: DataSet) -> None:
    with pytest.raises(InputError, match="no student at"):
        export_onnx(tmp_path / "none", tmp_path / "student.onnx", small_data.test.images)
