"""Where what is exported of a student lies; imports nothing, so that a configuration can name it."""

from pathlib import Path
from typing import Literal

Format = Literal["onnx-int8", "c", "c-int8"]
FORMATS: tuple[Format, ...] = ("onnx-int8", "c", "c-int8")
"""ONNX in 8-bit integers, and folders of C: in float, and in 8-bit integers."""
CODE: tuple[Format, ...] = ("c", "c-int8")
"""Those that are folders of C."""
ONNX, ONNX_INT8 = "student.onnx", "student-int8.onnx"


def int8_path(weights: Path) -> Path:
    """Where the quantised twin of `seed-<n>.safetensors` lies: `int8-<n>.safetensors` beside it."""
    name = weights.name
    return weights.with_name(
        f"int8-{name.removeprefix('seed-')}" if name.startswith("seed-") else f"{weights.stem}-int8.safetensors"
    )
