"""Teachers from ONNX files, whatever batch, type, layout and outputs they were exported with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd.data.dataset import DataSet
from kd.teachers.network_call import Network
from kd.teachers.source import Layout
from space.errors import InputError, first_line

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}
"""What a file's input may hold; whole numbers are pixels in 0..255."""


def open_onnx(path: Path, data: DataSet, device: torch.device) -> Network:
    """Open a file; what its input is, it tells itself.

    Raises:
        InputError: for a file that cannot be read, several inputs, or one that samples of this shape cannot fill.
    """
    session = _session(path, device)
    first, *others = session.get_inputs()
    if others:
        raise InputError(f"{path} has {1 + len(others)} inputs: a teacher takes one, the pixels")
    kind = TYPES.get(first.type)
    if kind is None:
        raise InputError(f"{path} takes {first.type}: a teacher takes pixels, export it with a float input")
    fitting = _layouts(path, first.shape, data)
    batch = first.shape[0] if first.shape and isinstance(first.shape[0], int) and first.shape[0] > 0 else None
    outputs = [output.name for output in session.get_outputs()]

    def forward(pixels: Tensor, _places: Tensor | None = None) -> dict[str, Tensor]:
        samples = pixels.cpu().numpy()
        samples = samples.round().astype(kind) if np.issubdtype(kind, np.integer) else samples.astype(kind)
        parts = [samples] if batch is None else [samples[i : i + batch] for i in range(0, len(samples), batch)]
        found = [
            [_array(output, data) for output in session.run(None, {first.name: _filled(part, batch)})] for part in parts
        ]
        if batch is None:
            return {name: torch.from_numpy(array).to(device) for name, array in zip(outputs, found[0], strict=True)}
        return {
            name: torch.from_numpy(_joined([part[index] for part in found], batch)[: len(samples)]).to(device)
            for index, name in enumerate(outputs)
        }

    return Network(forward=forward, layouts=fitting, scale="0..255" if np.issubdtype(kind, np.integer) else None)


def _session(path: Path, device: torch.device) -> Any:
    import onnxruntime

    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    available = onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what is wrong is told in one line of ours
    try:
        return onnxruntime.InferenceSession(
            str(path), options, [p for p in [*wanted, "CPUExecutionProvider"] if p in available]
        )
    except Exception as error:  # onnxruntime has a dozen unrelated classes for a model it cannot read
        raise InputError(f"cannot read a teacher from {path} ({first_line(error)}): export it again") from error


def _layouts(path: Path, shape: Sequence[object], data: DataSet) -> tuple[Layout, ...]:
    """The layouts that the axes of a file's input allow, those with a name or none being free."""
    sides = _sides(data)
    fixed = [axis if isinstance(axis, int) and axis > 0 else None for axis in shape[1:]]
    found = tuple(
        layout
        for layout, wanted in sides.items()
        if len(wanted) == len(fixed) and all(f in (None, w) for f, w in zip(fixed, wanted, strict=True))
    )
    if not shape:  # a file need not tell
        return tuple(sides)
    if not found:
        axes = ", ".join(str(axis) if axis is not None else "?" for axis in shape)
        raise InputError(
            f"{path} takes ({axes}), batch first, and the data are {data.shape}: "
            "resize the pictures with data.size, or export it for this shape"
        )
    return found


def _sides(data: DataSet) -> dict[Layout, tuple[int, ...]]:
    """Axes behind the batch by layout, the likeliest layout first."""
    if data.sequences:
        time, features = data.shape
        return {"nlc": (time, features), "ncl": (features, time), "flat": (time * features,)}
    channels, height, width = data.shape
    sides: dict[Layout, tuple[int, ...]] = {
        "nchw": (channels, height, width),
        "nhwc": (height, width, channels),
        "flat": (channels * height * width,),
        "nhwc-flat": (channels * height * width,),
        "ncwh": (channels, width, height),
    }
    return sides | ({"nhw": (height, width)} if channels == 1 else {})


def _filled(part: NDArray[Any], batch: int | None) -> NDArray[Any]:
    """A last part as long as the file wants it."""
    lacking = 0 if batch is None else batch - len(part)
    return np.concatenate([part, part[-1:].repeat(lacking, axis=0)]) if lacking else part


def _joined(parts: Sequence[NDArray[Any]], batch: int) -> NDArray[Any]:
    """Outputs of several runs below each other; one sample's may come without its axis."""
    whole = [part if part.ndim and len(part) == batch else part.reshape(batch, -1) for part in parts if part.size]
    return np.concatenate(whole) if whole else np.empty(0, np.float32)


def _array(output: Any, data: DataSet) -> NDArray[Any]:
    """An output as an array; scikit-learn's list of a dict a sample as a column a class."""
    if isinstance(output, list) and output and isinstance(output[0], dict):
        keys = sorted(output[0])
        named = [name for name in data.names if name in output[0]]
        return np.array(
            [[row[key] for key in (named if len(named) == len(keys) else keys)] for row in output], np.float32
        )
    array = np.asarray(output)
    return array.copy() if array.dtype.kind in "fiub" else np.empty(0, np.float32)  # strings are no logits
