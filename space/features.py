"""What an architecture is like, in numbers that mean the same on any data: what predictors of accuracy learn from."""

import math
from typing import Any

from space.architecture import FAMILIES, AnyBlock, Architecture
from space.blocks.base import Shape, maps, size

KINDS = (
    "convolution",
    "residual_convolution",
    "pool",
    "separable",
    "residual_separable",
    "inverted_residual",
    "squeeze_excite",
    "dense",
    "bilinear",
    "mixer",
    "patches",
    "liquid_scan",
    "liquid_convolution",
)
"""Kinds of blocks that are described one by one."""

ACTIVATIONS = ("relu", "leaky_relu", "prelu", "silu", "hardswish")

Features = dict[str, float]


def features(architecture: Architecture) -> Features:
    """Describe an architecture: the same names for all, all of them finite.

    Sizes are logarithms to the base 2, lengths are shares of the input's sides, and what a student lacks counts as 0.

    >>> from space.blocks.mlp import Dense
    >>> student = Architecture(family="mlp", shape=(1, 4, 4), classes=10, blocks=(Dense(width=8),))
    >>> features(student)["last features"]
    3.0
    """
    shapes, costs, total = architecture.shapes(), architecture.costs(), architecture.cost()
    start = maps(architecture.shape)
    blocks = [_fields(block) for block in architecture.blocks]
    last = shapes[-1]
    found: Features = {
        "parameters": math.log2(total.parameters),
        "macs": math.log2(total.macs),
        "memory": math.log2(total.memory_bytes),
        "macs a parameter": math.log2(total.macs / total.parameters),
        "classifier": costs[-1].parameters / total.parameters,
        "last features": math.log2(size(last)),
        "last width": math.log2(last[0]),
        "last positions": math.log2(last[1] * last[2]),
        "sequence": float(len(architecture.shape) == 2),
        "positions": math.log2(start[1] * start[2]),
        "classes": math.log2(architecture.classes),
    }
    found |= {f"family {family}": float(architecture.family == family) for family in FAMILIES}
    applications = [block.get("repeats") or block.get("unfolds") or 1 for block in blocks]
    for kind in KINDS:
        own = [index for index, block in enumerate(blocks) if block["kind"] == kind]
        found[f"{kind} blocks"] = float(len(own))
        found[f"{kind} applications"] = float(sum(applications[index] for index in own))
        found[f"{kind} parameters"] = sum(costs[index].parameters for index in own) / total.parameters
    used = [block["activation"] for block in blocks if "activation" in block]
    found |= {f"activation {name}": used.count(name) / max(1, len(used)) for name in ACTIVATIONS}
    return found | _widths(shapes) | _kernels(blocks, shapes, applications) | _details(blocks)


def _fields(block: AnyBlock) -> dict[str, Any]:
    """The fields of a block by name."""
    return {name: getattr(block, name) for name in block.__dataclass_fields__}


def _widths(shapes: list[Shape]) -> Features:
    """Channels and positions along the way."""
    start, behind = shapes[0], shapes[1:]
    spatial = [shape for shape in behind if shape[1] * shape[2] > 1]
    return {
        "first width": math.log2(behind[0][0]),
        "widest": math.log2(max(shape[0] for shape in behind)),
        "narrowest": math.log2(min(shape[0] for shape in behind)),
        "narrowest features": math.log2(min(size(shape) for shape in behind)),
        "stem positions": math.log2(behind[0][1] * behind[0][2] / (start[1] * start[2])),
        "depth on maps": float(len(spatial)),
        "depth": float(len(behind)),
        "growth": math.log2(max(shape[0] for shape in behind) / behind[0][0]),
    }


def _kernels(blocks: list[dict[str, Any]], shapes: list[Shape], applications: list[int]) -> Features:
    """Kernels, and how much of the input one position of the last maps sees."""
    field, step, side = 1.0, 1.0, max(shapes[0][1:])
    weighted, weight = 0.0, 0
    for block, times in zip(blocks, applications, strict=True):
        kernel = block.get("kernel", 2 if block["kind"] == "pool" else 1)
        field += times * (kernel - 1) * step
        step *= block.get("stride", 2 if block["kind"] == "pool" else 1)
        if "kernel" in block:
            weighted, weight = weighted + times * kernel, weight + times
    kernels = [block["kernel"] for block in blocks if "kernel" in block]
    return {
        "kernel": weighted / max(1, weight),
        "first kernel": float(kernels[0]) if kernels else 0.0,
        "last kernel": float(kernels[-1]) if kernels else 0.0,
        "receptive field": math.log2(field / side),
        "applications": float(sum(applications)),
    }


def _details(blocks: list[dict[str, Any]]) -> Features:
    """What only some kinds of blocks have."""
    bilinear = [block for block in blocks if block["kind"] == "bilinear"]
    scans = [block for block in blocks if block["kind"] == "liquid_scan"]
    hidden = [block["width"] for block in blocks if block["kind"] == "dense"]
    return {
        "average pools": float(sum(block.get("mode") == "average" for block in blocks)),
        "strides": float(sum(block.get("stride", 1) > 1 for block in blocks)),
        "expansion": float(max((block.get("expansion", 0) for block in blocks), default=0)),
        "heads": float(max((block["heads"] or 1 for block in bilinear), default=0)),
        "matrix rows": math.log2(bilinear[0]["rows"]) if bilinear else 0.0,
        "matrix columns": math.log2(bilinear[0]["columns"]) if bilinear else 0.0,
        "hidden": math.log2(hidden[-1]) if hidden else 0.0,
        "scan states": math.log2(scans[0]["hidden"]) if scans else 0.0,
        "ltc": float(any(block["cell"] == "ltc" for block in scans)),
        "scan of positions": float(any(block["axis"] == "positions" for block in scans)),
        "both directions": float(any(block["both_directions"] for block in scans)),
        "mean readout": float(any(block["readout"] == "mean" for block in scans)),
        "token width": math.log2(max((block.get("token_width", 1) for block in blocks), default=1)),
        "patch": float(max((block.get("side", 0) for block in blocks), default=0)),
    }
