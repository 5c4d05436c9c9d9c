"""Separable pictures, and linear teachers of them in every form that people have them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from kd.data.dataset import DataSet, DataSource, load

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class World:
    """A loaded data set and the mean picture of each class, (classes, height, width, channels) in 0..1."""

    folder: Path
    data: DataSet
    means: Array

    def linear(self, layout: str = "nchw", scale: float = 1.0, shift: float = 0.0) -> tuple[Array, Array]:
        """Weight (classes, pixels) and bias of the nearest mean, for pixels·scale + shift flattened in a layout."""
        axes = {"nchw": (0, 3, 1, 2), "nhwc": (0, 1, 2, 3), "ncwh": (0, 3, 2, 1)}[layout]
        weight = self.means.transpose(axes).reshape(len(self.means), -1).astype(np.float64)
        bias = -(weight**2).sum(1) / 2 - weight.sum(1) * shift / scale
        return (2 * weight / scale).astype(np.float32), (2 * bias).astype(np.float32)

    def onnx(self, shape: Sequence[int | str], **options: Any) -> str:
        """An ONNX file of a linear teacher that takes `shape` behind the batch; see `onnx_file`."""
        weight, bias = options.pop("linear", None) or self.linear()
        path = self.folder / "brought.onnx"
        onnx_file(path, weight, bias, shape, **options)
        return str(path)


def onnx_file(
    path: Path,
    weight: Array,
    bias: Array,
    shape: Sequence[int | str],
    *,
    batch: int | str = "n",
    kind: int = TensorProto.FLOAT,
    tail: Sequence[onnx.NodeProto] = (),
    outputs: Sequence[onnx.ValueInfoProto] = (),
) -> None:
    """Flatten, multiply, add, then the nodes of the `tail`, which start from z; z is the output unless it has some."""
    reals: dict[int, type] = {TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}
    real = reals.get(kind, np.float32)
    inner = TensorProto.FLOAT if kind == TensorProto.UINT8 else kind
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=inner),
        helper.make_node("Flatten", ["c"], ["f"], axis=1),
        helper.make_node("Gemm", ["f", "w", "b"], ["z"], transB=1),
        *tail,
    ]
    given = list(outputs) or [helper.make_tensor_value_info("z", inner, [batch, len(bias)])]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", kind, [batch, *shape])],
        given,
        [numpy_helper.from_array(weight.astype(real), "w"), numpy_helper.from_array(bias.astype(real), "b")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def world(folder: Path, classes: int = 3, channels: int = 1, uneven: bool = False) -> World:
    """Samples around a random picture a class: 300 training, 90 validation, 60 test ones."""
    generator = np.random.default_rng(classes + channels)
    means = generator.uniform(0.15, 0.85, (classes, 8, 8, channels))
    if channels == 3:
        means[..., 2] = 1 - means[..., 0]  # so that it matters which colour comes first
    arrays: dict[str, Any] = {}
    for name, count in (("train", 300), ("val", 90), ("test", 60)):
        labels = np.arange(count) % classes
        if uneven:
            labels = np.where(np.arange(count) % 10 == 0, 1 + np.arange(count) // 10 % (classes - 1), 0)
        pixels = means[labels] + generator.normal(0, 0.08, (count, 8, 8, channels))
        arrays[f"x_{name}"] = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
        arrays[f"y_{name}"] = labels
        if channels == 1:
            arrays[f"x_{name}"] = arrays[f"x_{name}"][..., 0]
    np.savez(folder / "data.npz", **arrays)
    return World(folder=folder, data=load(DataSource(name=str(folder / "data.npz"))), means=means)


@pytest.fixture
def grey(tmp_path: Path) -> World:
    return world(tmp_path)


@pytest.fixture
def rgb(tmp_path: Path) -> World:
    return world(tmp_path, channels=3)


@pytest.fixture
def pair(tmp_path: Path) -> World:
    return world(tmp_path, classes=2)


@pytest.fixture
def uneven(tmp_path: Path) -> World:
    return world(tmp_path, uneven=True)
