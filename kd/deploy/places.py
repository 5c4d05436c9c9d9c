"""Where what is exported of a student lies; imports nothing, so that a configuration can name it."""

from pathlib import Path
from typing import Literal

Format = Literal["c", "c-int8"]
FORMATS: tuple[Format, ...] = ("c", "c-int8")
"""Folders of C: in float, and in 8-bit integers."""


def int8_path(weights: Path) -> Path:
    """Where the quantised twin of `seed-<n>.safetensors` lies: `int8-<n>.safetensors` beside it."""
    name = weights.name
    return weights.with_name(
        f"int8-{name.removeprefix('seed-')}" if name.startswith("seed-") else f"{weights.stem}-int8.safetensors"
    )
