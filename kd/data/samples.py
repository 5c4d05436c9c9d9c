"""Samples in the forms that people have, brought into one: uint8 images or float32 sequences."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kd.data.mapped import ROWS, extremes, mapping_of, parts, release, rows_at_once
from space.errors import InputError

Kind = Literal["images", "sequences"]
Layout = Literal["channels_first", "channels_last", "time_first", "features_first"]

CHANNELS = (1, 3, 4)
"""Numbers of channels that tell (n, height, width, channels) from (n, channels, height, width)."""
SLACK = 1e-4
"""By how much (share of the range) a value may lie outside its range: sums in float32 are not exact."""
DARK = 100
"""Pixels 0..255 of which none is brighter may be of another range."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Samples as a source has them, which may be too large for memory, and what makes some of them ours.

    Those are uint8 images (n, channels, height, width), or float32 sequences (n, time, features). `given` are the
    source's with their axes in this order.
    """

    given: NDArray[Any]
    convert: Callable[[NDArray[Any]], NDArray[Any]]
    dtype: type[np.uint8 | np.float32]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.given)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one sample."""
        return self.given.shape[1:]

    def some(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Those of some rows, in order, in parts that fit into memory; raises InputError for values out of range."""
        step, mapping = rows_at_once(self.given), mapping_of(self.given)
        for start in range(0, len(rows), step):
            yield self.convert(self.given[rows[start : start + step]])
            release(mapping)

    def are_equal(self) -> bool:
        """Whether all are the same."""
        converted = map(self.convert, parts(self.given))
        first = next(converted)
        return bool((first == first[0]).all()) and all((part == first[0]).all() for part in converted)

    def taken(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The same as an array of their own, in C order, with no copy of the rest."""
        found = np.empty((len(rows), *self.shape), self.dtype)
        start = 0
        for part in self.some(rows):
            found[start : start + len(part)] = part
            start += len(part)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How samples are to be read; None where it is to be told from them.

    `range` are the values of black and white.
    """

    kind: Kind | None = None
    layout: Layout | None = None
    range: tuple[float, float] | None = None


def limits(text: str | None) -> tuple[float, float] | None:
    """What `data.range` says: the values of black and white."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(".."))
        if not -math.inf < low < high < math.inf:
            raise ValueError
    except ValueError as error:
        raise InputError(f"data.range is '{text}' (--range): write LOW..HIGH, like 0..1 or -1..1") from error
    return low, high


def read_samples(
    origin: str, given: Mapping[str, NDArray[Any]], form: Form
) -> tuple[dict[str, Samples], tuple[str, ...]]:
    """Samples of every split, and notes of what was guessed.

    What is not told is told from the training split. Taken are images (n, height, width), (n, height, width, channels)
    and (n, channels, height, width) of any type of number, flat ones that are square, and sequences (n, time,
    features), (n, features, time) and (n, time).

    Args:
        origin: where they were read.
        given: the samples as found, by split, "train" among them.
        form: how they are to be read.

    Raises:
        InputError: for wrong types and shapes, values that are not finite or outside their range, splits of different
            shapes, and what cannot be guessed.
    """
    for part, x in given.items():
        if x.ndim and len(x) == 0:
            raise InputError(
                f"{origin}: x_{part} has no samples: " + ("add some" if part == "train" else "leave it out")
            )
        if x.dtype.kind not in "buif" or 0 in x.shape or not 2 <= x.ndim <= 4:
            raise InputError(
                f"{origin}: x_{part} is {x.dtype} of shape {x.shape}, must be numbers: images (n, height, width), "
                "(n, height, width, channels) or (n, channels, height, width), or sequences (n, time, features)"
            )
        if (x.dtype.kind == "f") != (given["train"].dtype.kind == "f"):
            raise InputError(f"{origin}: x_train is {given['train'].dtype}, x_{part} is {x.dtype}: make them equal")
    train = given["train"]
    found: dict[str, Samples]
    kind = form.kind or _kind(origin, train)
    if kind == "sequences":
        found = {part: _sequences(origin, part, x, form) for part, x in given.items()}
        notes = _sequence_notes(train, form)
    else:
        limits = form.range or _range(origin, train)
        found = {part: _images(origin, part, x, form.layout, limits) for part, x in given.items()}
        notes = _image_notes(train, form, limits)
    for part, samples in found.items():
        if samples.shape != found["train"].shape:
            shapes = f"x_train {kind} are {found['train'].shape}, x_{part} {kind} are {samples.shape}"
            raise InputError(f"{origin}: {shapes}: make them equal")
    return found, notes


def _kind(origin: str, x: NDArray[Any]) -> Kind:
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        shape = f"{side}, {side}" if side * side == x.shape[1] else "height, width"
        raise InputError(
            f"{origin}: x_train has shape {x.shape}: say data.kind (--kind): sequences of one feature, or images, "
            f"x.reshape(-1, {shape})"
        )
    if x.ndim == 4 or x.dtype in (np.uint8, np.bool_):
        return "images"
    if x.dtype.kind == "f":
        return "sequences"
    lowest, highest = extremes(x)
    if lowest >= 0 and DARK < highest <= 255:
        return "images"
    raise InputError(
        f"{origin}: x_train is {x.dtype} of shape {x.shape} with values {lowest}..{highest}: say data.kind (--kind), "
        'images or sequences, and of images data.range (--range), like "0..4095"'
    )


def _range(origin: str, x: NDArray[Any]) -> tuple[float, float]:
    """The values of black and white, as far as they can be guessed."""
    if x.dtype == np.uint8:
        return 0, 255
    if x.dtype == np.bool_:
        return 0, 1
    lowest, highest = map(float, extremes(x))
    if lowest >= 0 and DARK < highest <= 255:
        return 0, 255
    if x.dtype.kind == "f" and lowest >= 0 and 0.5 < highest <= 1:
        return 0, 1
    if x.dtype.kind == "f" and -1 <= lowest < -0.2 and 0.2 < highest <= 1:
        return -1, 1
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise InputError(f"{origin}: x_train holds values that are not finite: replace them")
    raise InputError(
        f"{origin}: x_train holds images with values {lowest:g}..{highest:g}: say which are black and white with "
        'data.range (--range), like "0..16"; standardised ones must be brought back to their pixels'
    )


def _images(origin: str, part: str, x: NDArray[Any], layout: Layout | None, limits: tuple[float, float]) -> Samples:
    if layout in ("time_first", "features_first"):
        raise InputError(f"{origin}: data.layout is {layout}, x_{part} holds images: use channels_first, channels_last")
    if x.ndim == 2:
        side = math.isqrt(x.shape[1])
        if side * side != x.shape[1]:
            raise InputError(
                f"{origin}: x_{part} has shape {x.shape}, which is not square: x.reshape(-1, height, width)"
            )
        x = x.reshape(-1, side, side)
    x = _channels_first(origin, part, x, layout)
    taken = x.dtype == np.uint8 and limits == (0, 255)
    return Samples(given=x, convert=_same if taken else partial(_pixels, origin, part, limits), dtype=np.uint8)


def _same(x: NDArray[Any]) -> NDArray[Any]:
    return x


def _channels_first(origin: str, part: str, x: NDArray[Any], layout: Layout | None) -> NDArray[Any]:
    if x.ndim == 3:
        return x[:, None]
    if layout == "channels_last" or (layout is None and _is_channels_last(x)):
        return x.transpose(0, 3, 1, 2)
    if layout is None and x.shape[1] == x.shape[2] != x.shape[3]:
        raise InputError(
            f"{origin}: x_{part} has shape {x.shape}: with {x.shape[3]} channels use (n, channels, height, width), or "
            "say data.layout (--layout)"
        )
    return x


def _is_channels_last(x: NDArray[Any]) -> bool:
    return x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in (*CHANNELS, 2)


def _pixels(origin: str, part: str, limits: tuple[float, float], x: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = limits
    values = (x.astype(np.float64) - low) / (high - low)
    if not np.isfinite(values).all():
        raise InputError(f"{origin}: x_{part} holds values that are not finite: replace them")
    if values.min() < -SLACK or values.max() > 1 + SLACK:
        lowest, highest = (low + float(value) * (high - low) for value in (values.min(), values.max()))
        raise InputError(
            f"{origin}: x_{part} holds values {lowest:g}..{highest:g}, outside of the range {low:g}..{high:g} of "
            "its pixels: say another with data.range (--range)"
        )
    pixels: NDArray[np.uint8] = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def _sequences(origin: str, part: str, x: NDArray[Any], form: Form) -> Samples:
    if form.range is not None or form.layout in ("channels_first", "channels_last"):
        other = "" if form.kind else "say data.kind = images (--kind), or "
        raise InputError(
            f"{origin}: x_{part} of shape {x.shape} is read as sequences, which have no data.range and are time_first "
            f"or features_first: {other}leave these away"
        )
    if x.ndim == 4:
        raise InputError(f"{origin}: x_{part} has shape {x.shape}, sequences must be (n, time, features)")
    if x.ndim == 2:
        x = x[:, :, None]
    given = x.transpose(0, 2, 1) if form.layout == "features_first" else x
    return Samples(given=given, convert=partial(_finite, origin, part), dtype=np.float32)


def _finite(origin: str, part: str, x: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        sequences = x.astype(np.float32)
    if not np.isfinite(sequences).all():
        raise InputError(
            f"{origin}: x_{part} holds values that are not finite in float32: replace them (padding by NaN: "
            "numpy.nan_to_num(x))"
        )
    return sequences


def _sequence_notes(x: NDArray[Any], form: Form) -> tuple[str, ...]:
    notes = list(_padding_notes(x if form.layout != "features_first" or x.ndim == 2 else x.transpose(0, 2, 1)))
    if form.kind is None and 1 not in x.shape[1:]:
        notes.append(
            f"x_train, {x.dtype} of shape {x.shape}, is taken for sequences (n, time, features): for images say "
            "data.kind = images (--kind)"
        )
    if form.layout is None and x.ndim == 3 and x.shape[1] < x.shape[2] and form.kind is None and x.shape[2] > 99:
        notes.append(
            f"{x.shape[1]} steps of {x.shape[2]} features: if it is the other way round, say data.layout = "
            "features_first (--layout)"
        )
    return tuple(notes)


def _padding_notes(x: NDArray[Any]) -> tuple[str, ...]:
    """A note where sequences, (n, time, …), end with zeros as those do that were padded behind."""
    some = np.asarray(x[:ROWS].reshape(len(x[:ROWS]), x.shape[1], -1).any(axis=2))
    padded = int((some.any(1) & ~some[:, -max(2, x.shape[1] // 20) :].any(1)).sum())
    if 2 * padded < len(some):
        return ()
    return (
        f"{padded} of {len(some)} sequences end with zeros: if that is padding, put it in front, for a student "
        "remembers the last steps best",
    )


def _image_notes(x: NDArray[Any], form: Form, limits: tuple[float, float]) -> tuple[str, ...]:
    notes = []
    if x.dtype != np.uint8 and form.range is None:
        notes.append(f"pixels are {x.dtype}, {limits[0]:g} is taken for black and {limits[1]:g} for white")
    if x.dtype == np.uint8 and form.range is None and (brightest := extremes(x)[1]) <= DARK:
        notes.append(f"no pixel is brighter than {brightest} of 255: if that is white, say data.range = 0..{brightest}")
    if x.ndim == 4 and form.layout is None and x.shape[1] in CHANNELS and x.shape[3] in CHANNELS:
        notes.append(f"x_train of shape {x.shape} is read as channels_first: for the other say data.layout (--layout)")
    if x.ndim == 2:
        notes.append(f"x_train of shape {x.shape} is read as square images, row by row")
    return tuple(notes)
