"""Integer programs as JSON for a page: arrays are base64, little-endian as every browser has them."""

import base64
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kd.deploy import program as ops
from kd.deploy.integers import IntegerProgram, IntegerStage, Quantised
from kd.deploy.tables import TABLE
from space.blocks.base import maps

KINDS = {torch.int8: "int8", torch.int32: "int32", torch.float32: "float32", torch.uint8: "uint8"}


def integer_json(program: IntegerProgram) -> dict[str, Any]:
    """A program as `integers.js` takes it."""
    made = program.input
    return {
        "sequences": program.program.sequences,
        "maps": maps(program.program.shape),
        "table": TABLE,
        "logits": {"scale": program.logits.scale, "zero": program.logits.zero},
        "input": {
            "zero": made.quantisation.zero,
            "shift": made.shift,
            **{name: array_json(getattr(made, name)) for name in ("multiplier", "bias", "mean", "factor")},
        },
        "operations": [_operation(operation) for operation in program.operations],
    }


def array_json(values: Tensor) -> dict[str, Any]:
    """An array with its shape."""
    content = np.ascontiguousarray(values.detach().numpy())
    little = content.astype(content.dtype.newbyteorder("<")).tobytes()
    return {"type": KINDS[values.dtype], "shape": tuple(values.shape), "base64": base64.b64encode(little).decode()}


def _operation(quantised: Quantised) -> dict[str, Any]:
    found = _plain(quantised.operation)
    if isinstance(quantised.operation, ops.Scan):
        cells = quantised.operation.cells
        found["cells"] = [{"kind": type(cell).__name__, "unfolds": getattr(cell, "unfolds", 1)} for cell in cells]
    return found | {
        "kind": type(quantised.operation).__name__,
        "weights": {name: array_json(values) for name, values in quantised.weights.items()},
        "vectors": {name: array_json(values) for name, values in quantised.vectors.items()},
        "stages": {name: _stage(stage) for name, stage in quantised.stages.items()},
        "numbers": dict(quantised.numbers),
    }


def _stage(stage: IntegerStage) -> dict[str, Any]:
    arrays = {name: getattr(stage, name) for name in ("multiplier", "bias", "slope")}
    return {
        **_plain(stage),
        **{name: None if values is None else array_json(values) for name, values in arrays.items()},
        "applications": stage.applications,
    }


def _plain(noun: Any) -> dict[str, Any]:
    """What a dataclass says in numbers and words; its tensors, and what holds some, are left out."""
    found: dict[str, Any] = {}
    for field in fields(noun):
        value = getattr(noun, field.name)
        if isinstance(value, ops.Window):
            found[field.name] = _plain(value)
        elif not isinstance(value, Tensor) and not is_dataclass(value) and value is not None:
            found[field.name] = value
    found.pop("cells", None)
    return found
