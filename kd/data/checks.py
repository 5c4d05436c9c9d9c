"""What a source's arrays must look like, and the one form they are brought into."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.raw import Raw
from space.errors import InputError

Part = tuple[NDArray[Any], NDArray[np.int64]]
"""Samples and their labels (n,): uint8 images (n, channels, height, width) or float32 sequences (n, time, features)."""

CHANNELS = (1, 3, 4)
"""Numbers of channels that tell (n, height, width, channels) from (n, channels, height, width)."""


def checked(raw: Raw) -> tuple[dict[str, Part], int]:
    """Check and convert the splits of a source, "train", "val" and "test" as far as it has them; count classes.

    Raises:
        InputError: for wrong types and shapes, splits of different shapes, values that are not finite, labels that are
            not 0..classes-1, and a class without a training sample.
    """
    parts: dict[str, Part] = {}
    for part in ("train", "val", "test"):
        if f"x_{part}" in raw.arrays:
            samples = _samples(raw.origin, part, raw.arrays[f"x_{part}"])
            parts[part] = samples, _labels(raw.origin, part, raw.arrays[f"y_{part}"], len(samples))
    train = parts["train"][0]
    for part, (samples, _) in parts.items():
        if (samples.dtype, samples.shape[1:]) != (train.dtype, train.shape[1:]):
            raise InputError(
                f"{raw.origin}: x_train images are {train.shape[1:]} of {train.dtype}, x_{part} images "
                f"{samples.shape[1:]} of {samples.dtype}: make them equal"
            )
    return parts, _count_classes(raw, parts)


def _samples(origin: str, part: str, x: NDArray[Any]) -> NDArray[Any]:
    if np.issubdtype(x.dtype, np.floating):
        if x.ndim != 3 or 0 in x.shape:
            raise InputError(
                f"{origin}: x_{part} is {x.dtype} of shape {x.shape}, must be uint8 pixels 0..255, or sequences "
                "(n, time, features)"
            )
        with np.errstate(over="ignore"):
            sequences = x.astype(np.float32)
        if not np.isfinite(sequences).all():
            raise InputError(f"{origin}: x_{part} holds values that are not finite in float32: replace them")
        return sequences
    if x.dtype != np.uint8:
        raise InputError(f"{origin}: x_{part} is {x.dtype}, must be uint8 pixels 0..255, or floating sequences")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in (*CHANNELS, 2):
        x = x.transpose(0, 3, 1, 2)
    elif x.ndim == 4 and x.shape[1] == x.shape[2] != x.shape[3]:
        raise InputError(
            f"{origin}: x_{part} has shape {x.shape}: with {x.shape[3]} channels use (n, channels, height, width)"
        )
    if x.ndim != 4 or 0 in x.shape:
        raise InputError(
            f"{origin}: x_{part} has shape {x.shape}, must be (n, height, width), (n, height, width, channels) or "
            "(n, channels, height, width)"
        )
    return x


def _labels(origin: str, part: str, y: NDArray[Any], count: int) -> NDArray[np.int64]:
    if y.shape != (count,) or not np.issubdtype(y.dtype, np.integer):
        raise InputError(f"{origin}: y_{part} is {y.dtype} of shape {y.shape}, must be {count} integers")
    return y.astype(np.int64)


def _count_classes(raw: Raw, parts: dict[str, Part]) -> int:
    present = np.unique(parts["train"][1])
    classes = len(raw.names) or len(present)
    if len(present) < 2 or not np.array_equal(present, np.arange(classes)):
        raise InputError(
            f"{raw.origin}: y_train holds labels {present[:12].tolist()}, must be 0..{max(classes, 2) - 1}, each at "
            "least once"
        )
    for part, (_, labels) in parts.items():
        unknown = np.setdiff1d(labels, present)
        if len(unknown):
            raise InputError(f"{raw.origin}: y_{part} holds labels that y_train lacks: {unknown[:12].tolist()}")
    return classes
