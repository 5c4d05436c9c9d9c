"""Pictures and arrays without labels, brought into the form that a student takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kd.data.classes import printable
from kd.data.pictures import read_pictures, suffixes
from kd.data.samples import Form, read_samples
from space.errors import InputError

APART = 0.3
"""Difference of mean lightness (pixels in 0..1) from which images may have black for white."""
ARRAY = "an array saved with numpy.save, or pictures"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """Samples as a `kd.data.dataset.Split` has them, a name for each, and notes of what was done to them."""

    samples: Tensor
    names: tuple[str, ...]
    notes: tuple[str, ...]


def read_inputs(paths: Sequence[Path], shape: tuple[int, ...], form: Form) -> Inputs:
    """Read samples of a student's input shape, (channels, height, width) or (time, features).

    Pictures are resized to it and made grey or RGB. An array, `.npy`, holds one sample or several, in any form that
    arrays of a data set may have, but for a missing first axis where it holds one.

    Args:
        paths: at least one; pictures, or arrays.
        shape: what the student takes.
        form: layout and range of arrays where they cannot be told from them; its kind follows from `shape`.

    Raises:
        InputError: for what cannot be read or has another shape.
    """
    found = [_array(path, shape, form) if path.suffix.lower() == ".npy" else _picture(path, shape) for path in paths]
    names = [
        str(path) if len(one) == 1 else f"{path}[{index}]"
        for path, (one, _) in zip(paths, found, strict=True)
        for index in range(len(one))
    ]
    samples = np.ascontiguousarray(np.concatenate([one for one, _ in found]))
    notes = tuple(dict.fromkeys(note for _, notes in found for note in notes))
    return Inputs(samples=torch.from_numpy(samples), names=tuple(names), notes=notes)


def inverted(inputs: Inputs) -> Inputs:
    """Images with black for white; raises InputError for sequences."""
    if inputs.samples.dtype != torch.uint8:
        raise InputError("--invert turns black to white, the student takes sequences: leave it out")
    return replace(inputs, samples=255 - inputs.samples)


def lightness_note(samples: Tensor, mean: Sequence[float]) -> tuple[str, ...]:
    """A note where images are far darker or lighter than the mean (pixels in 0..1) of those that were learnt from."""
    if samples.dtype != torch.uint8:
        return ()
    here, there = float(samples.float().mean()) / 255, sum(mean) / len(mean)
    if abs(here - there) < APART or (here - 0.5) * (there - 0.5) > 0:
        return ()
    return (f"mean lightness is {here:.2f}, the student learnt from {there:.2f}: is black white? --invert turns them",)


def _picture(path: Path, shape: tuple[int, ...]) -> tuple[NDArray[Any], tuple[str, ...]]:
    name = printable(path)
    if not path.is_file():
        raise InputError(f"no picture or array at {name}: check the path")
    if path.suffix.lower() not in suffixes():
        raise InputError(f"{name} is a file that is not read: give {ARRAY} of a format that Pillow reads")
    if len(shape) == 2:
        steps, features = shape
        raise InputError(
            f"{name} is a picture, the student takes sequences: give an array ({steps}, {features}) or (n, {steps}, "
            f"{features}), saved with numpy.save"
        )
    channels, height, width = shape
    if channels not in (1, 3):
        raise InputError(
            f"{name} is a picture, the student takes {channels} channels: give an array ({channels}, {height}, "
            f"{width}), saved with numpy.save"
        )
    (pixels,), notes = read_pictures([path], None)
    before = pixels.shape[:2]
    if before != (height, width):
        (pixels,), notes = read_pictures([path], (height, width))
        notes = (*notes, f"{name} is resized from {before[1]}×{before[0]} to {width}×{height}")
    if channels < pixels.shape[2]:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    return np.broadcast_to(pixels, (height, width, channels)).transpose(2, 0, 1)[None], notes


def _array(path: Path, shape: tuple[int, ...], form: Form) -> tuple[NDArray[Any], tuple[str, ...]]:
    name = printable(path)
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"no picture or array at {name}: check the path") from error
    except (OSError, ValueError, EOFError, SyntaxError, TypeError) as error:  # numpy parses the header as Python
        raise InputError(f"{name} is not a readable .npy file: save plain numbers with numpy.save") from error
    form = Form(kind="sequences" if len(shape) == 2 else "images", layout=form.layout, range=form.range)
    try:
        found, notes = read_samples(name, {"train": _with_samples_first(array, shape)}, form)
        samples = found["train"].taken(np.arange(len(found["train"])))
    except InputError as error:
        raise InputError(str(error).replace("x_train", "it")) from error
    if samples.shape[1:] != shape:
        raise InputError(f"{name}: its samples are {samples.shape[1:]}, the student takes {shape}: reshape it")
    return samples, tuple(note.replace("x_train", name) for note in notes)


def _with_samples_first(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array that holds one sample, with the axis of the samples in front."""
    if len(shape) == 2:
        # without features an array (n, time) holds several, also where n is 1
        several = array.shape == (1, shape[0]) and shape[1] == 1
        return array[None] if array.shape in {shape, shape[::-1], shape[:1]} and not several else array
    flat = shape[1] * shape[2]
    one = array.shape in {shape, (*shape[1:], shape[0]), (flat,)}
    return array[None] if one or (array.ndim == 2 and array.shape[1] != flat) else array
