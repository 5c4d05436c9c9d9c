"""ONNX teachers as people have them: any batch, type, layout, scale and outputs; each works or is told in one line."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from kd.data.dataset import values
from kd.teachers.check import measured_teachers
from kd.teachers.loading import open_teacher
from kd.teachers.source import Layout, TeacherSource
from space.errors import InputError

CPU = torch.device("cpu")


def floats(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


SOFTMAX = [helper.make_node("Softmax", ["z"], ["p"], axis=1)]
LABELS = [*SOFTMAX, helper.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0)]
LABEL = helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])
PERCENT = [
    *SOFTMAX,
    helper.make_node("Constant", [], ["h"], value=helper.make_tensor("h", TensorProto.FLOAT, [], [100.0])),
    helper.make_node("Mul", ["p", "h"], ["q"]),
]
CELLS = [
    helper.make_node("Constant", [], ["s"], value=helper.make_tensor("s", TensorProto.INT64, [4], [0, -1, 1, 1])),
    helper.make_node("Reshape", ["z", "s"], ["cells"]),
]
MAPS = [*LABELS, helper.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])]
MAPS_OUTPUT = helper.make_value_info(
    "maps",
    helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    ),
)


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [
        ((1, 8, 8), {}, ""),
        ((1, 8, 8), {"batch": 1}, ""),
        ((1, 8, 8), {"batch": 7}, ""),
        ((1, "height", "width"), {"batch": "batch_size"}, ""),
        ((8, 8, 1), {}, "takes nhwc"),
        ((8, 8), {}, "takes nhw"),
        ((64,), {}, "takes flat"),
        (("features",), {}, "takes flat"),
        ((1, 8, 8), {"kind": TensorProto.FLOAT16}, ""),
        ((1, 8, 8), {"kind": TensorProto.DOUBLE}, ""),
        ((1, 8, 8), {"tail": SOFTMAX, "outputs": [floats("p", "n", 3)]}, "probabilities: their logarithm is used"),
        ((1, 8, 8), {"tail": PERCENT, "outputs": [floats("q", "n", 3)]}, "percentages: their logarithm is used"),
        ((1, 8, 8), {"tail": LABELS, "outputs": [LABEL, floats("p", "n", 3)]}, "probabilities"),
        ((64,), {"tail": LABELS, "outputs": [LABEL, floats("p", "n", 3)]}, "probabilities"),
        ((64,), {"tail": MAPS, "outputs": [LABEL, MAPS_OUTPUT]}, "probabilities"),
        ((1, 8, 8), {"tail": CELLS, "outputs": [floats("cells", "n", 3, 1, 1)]}, ""),
    ],
    ids=str,
)
def test_a_file_tells_how_it_wants_to_be_called(
    grey: Any, shape: Sequence[int | str], options: dict[str, Any], said: str
) -> None:
    source = TeacherSource(models=(grey.onnx(shape, **options),))
    (score,) = measured_teachers(source, grey.data).teachers
    assert score.validation is not None
    assert score.train.accuracy == score.validation.accuracy == 1
    assert said in score.summary
    weight, bias = grey.linear()
    pixels, places = values(grey.data.train.images[:5]), torch.arange(5)
    expected = pixels.flatten(1) @ torch.from_numpy(weight).T + torch.from_numpy(bias)
    found = open_teacher(source, grey.data, CPU)(pixels, places)
    torch.testing.assert_close(found.softmax(1), expected.softmax(1), rtol=1e-2, atol=1e-3)


def test_whole_numbers_are_pixels_up_to_255(grey: Any) -> None:
    path = grey.onnx((1, 8, 8), kind=TensorProto.UINT8, linear=grey.linear(scale=255))
    (score,) = measured_teachers(TeacherSource(models=(path,)), grey.data).teachers
    assert score.train.accuracy == 1
    assert "takes pixels in 0..255" in score.summary


def test_axes_of_three_colours_tell_their_order(rgb: Any) -> None:
    path = rgb.onnx((8, 8, 3), linear=rgb.linear("nhwc"))
    (score,) = measured_teachers(TeacherSource(models=(path,)), rgb.data).teachers
    assert score.train.accuracy == 1
    assert score.layout == "nhwc"


@pytest.mark.parametrize("sigmoid", [True, False])
def test_one_column_is_the_second_of_two_classes(pair: Any, sigmoid: bool) -> None:
    weight, bias = pair.linear()
    single = weight[1:] - weight[:1], bias[1:] - bias[:1]
    tail = [helper.make_node("Sigmoid", ["z"], ["s"])] if sigmoid else []
    path = pair.onnx((1, 8, 8), linear=single, tail=tail, outputs=[floats("s" if sigmoid else "z", "n", 1)])
    source = TeacherSource(models=(path,))
    assert measured_teachers(source, pair.data).teachers[0].validation.accuracy == 1  # type: ignore[union-attr]
    pixels = values(pair.data.train.images[:32])
    expected = pixels.flatten(1) @ torch.from_numpy(weight).T + torch.from_numpy(bias)
    found = open_teacher(source, pair.data, CPU)(pixels, torch.arange(32))
    torch.testing.assert_close(found.softmax(1), expected.softmax(1), rtol=1e-3, atol=1e-4)


def test_of_several_outputs_one_is_named(grey: Any) -> None:
    both = {"tail": SOFTMAX, "outputs": [floats("p", "n", 3), floats("z", "n", 3)]}
    path = grey.onnx((1, 8, 8), **both)
    with pytest.raises(InputError, match=r"outputs are p \(32, 3\), z \(32, 3\), 2 of shape .*teacher\.output=NAME"):
        measured_teachers(TeacherSource(models=(path,)), grey.data)
    for name, kind in (("p", "probabilities"), ("z", "logits")):
        found = measured_teachers(TeacherSource(models=(path,), output=name), grey.data)
        assert (found.teachers[0].kind, found.teachers[0].train.accuracy) == (kind, 1)
    with pytest.raises(InputError, match=r"teacher\.output = 'q' is none of its outputs \(p, z\)"):
        measured_teachers(TeacherSource(models=(path,), output="q"), grey.data)


def zeros(pixels: int) -> Any:
    return np.zeros((3, pixels)), np.zeros(3)


def rolled(world: Any) -> Any:
    weight, bias = world.linear()
    return np.roll(weight, 1, axis=0), np.roll(bias, 1)


@pytest.mark.parametrize(
    ("name", "shape", "linear", "settings"),
    [
        ("grey", (1, 8, 8), lambda w: w.linear(scale=255), {"scale": "0..255"}),
        ("grey", (1, 8, 8), rolled, {"classes": (2, 0, 1)}),
        ("grey", (1, 8, 8), lambda w: w.linear("ncwh"), {"layout": "ncwh"}),
        ("rgb", ("c", "h", "w"), lambda w: w.linear("nhwc"), {"layout": "nhwc"}),
        ("rgb", (192,), lambda w: w.linear("nhwc"), {"layout": "nhwc-flat"}),
        ("rgb", (8, 8, 3), lambda w: w.linear("nhwc", scale=255), {"scale": "0..255"}),
        (
            "rgb",
            (3, 8, 8),
            lambda w: (w.linear()[0].reshape(3, 3, 64)[:, ::-1].reshape(3, -1), w.linear()[1]),
            {"channels": "bgr"},
        ),
    ],
    ids=("scale", "classes", "width first", "channels last", "flat rows", "scale of colours", "bgr"),
)
def test_what_fits_better_is_found_and_then_said_by_a_setting(
    name: str, shape: Sequence[int], linear: Callable[[Any], Any], settings: dict[str, Any], request: Any
) -> None:
    world = request.getfixturevalue(name)
    path = world.onnx(shape, linear=linear(world))
    (key,) = settings
    value = settings[key] if key != "classes" else "[2, 0, 1]"
    try:
        found = measured_teachers(TeacherSource(models=(path,)), world.data)
        told = found.hint  # better than chance, but not by much
        assert found.teachers[0].validation.accuracy < 0.85  # type: ignore[union-attr]
    except InputError as error:
        told = str(error)
        assert "\n" not in told
        assert "overrules this" in told
    assert f"teacher.{key}={value}" in told, told
    right = measured_teachers(TeacherSource(models=(path,), **settings), world.data)
    assert right.teachers[0].validation.accuracy > 0.95  # type: ignore[union-attr]
    unchecked = measured_teachers(TeacherSource(models=(path,), check=False), world.data)
    assert unchecked.teachers[0].train.accuracy < 0.85


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (
            (3, 16, 16),
            {"linear": zeros(768)},
            r"takes \(n, 3, 16, 16\), batch first, and the data are \(1, 8, 8\): resize",
        ),
        ((63,), {"linear": zeros(63)}, r"takes \(n, 63\)"),
        ((1, 8, 8), {"tail": LABELS, "outputs": [LABEL]}, r"gives torch\.int64 of shape \(32,\): it must give logits"),
    ],
)
def test_what_cannot_be_called_is_told_in_one_line(
    grey: Any, shape: Sequence[int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        measured_teachers(TeacherSource(models=(grey.onnx(shape, **options),)), grey.data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": (0, 1, 3)}, r"teacher\.classes: 3 is no class of the data: give names or indices of 0, 1, 2"),
        ({"classes": (0, 1, 1)}, r"teacher\.classes: 1 is there twice"),
        ({"classes": (0, "", 1)}, r"teacher\.classes: no column is of class '2'"),
        ({"layout": "ncl"}, r"teacher\.layout = 'ncl': samples of shape \(1, 8, 8\) have none of that: use auto, nchw"),
        ({"layout": "flat"}, r"teacher\.layout = 'flat': .* takes nchw or ncwh"),
        ({"scale": "imagenet"}, r"teacher\.scale = 'imagenet': samples of shape \(1, 8, 8\) are no pixels of three"),
        ({"channels": "bgr"}, r"teacher\.channels = 'bgr': .* have no three colours"),
        ({"classes": ("", 0, 1, 2)}, r"gives logits of shape \(32, 3\) .*teacher\.classes names 4 classes"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_told(grey: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured_teachers(TeacherSource(models=(grey.onnx((1, 8, 8)),), **settings), grey.data)


def test_a_column_of_no_class_is_left_out(grey: Any) -> None:
    weight, bias = grey.linear()
    linear = np.concatenate([weight[:1], weight]), np.concatenate([bias[:1] + 9, bias])
    path = grey.onnx((1, 8, 8), linear=linear, outputs=[floats("z", "n", 4)])
    with pytest.raises(InputError, match=r"it must give \(32, 3\), or name its columns with teacher\.classes"):
        measured_teachers(TeacherSource(models=(path,)), grey.data)
    found = measured_teachers(TeacherSource(models=(path,), classes=("", 0, 1, 2)), grey.data)
    assert found.teachers[0].train.accuracy == 1


def test_sequences_may_have_their_features_first(sequences: Any, tmp_path: Any) -> None:
    weight = torch.randn(10, 784, generator=torch.Generator().manual_seed(0)).numpy()
    steps = np.ascontiguousarray(weight.reshape(10, 28, 28).transpose(0, 2, 1)).reshape(10, -1)
    pixels, found = sequences.train.images[:3], []
    layouts: dict[Layout, Any] = {"nlc": weight, "ncl": steps}
    for layout, matrix in layouts.items():
        module = of_sequences(tmp_path / f"{layout}.onnx", matrix)
        found.append(open_teacher(TeacherSource(models=(module,), layout=layout), sequences, CPU)(pixels))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match=r"teacher\.scale = '0\.\.255': .*use 0\.\.1 or standardised"):
        open_teacher(TeacherSource(models=(module,), scale="0..255"), sequences, CPU)


def of_sequences(path: Any, weight: Any) -> str:
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"])]
    table = onnx.numpy_helper.from_array(np.ascontiguousarray(weight.T.astype(np.float32)), "w")
    graph = helper.make_graph(nodes, "g", [floats("x", "n", 28, 28)], [floats("z", "n", 10)], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)
