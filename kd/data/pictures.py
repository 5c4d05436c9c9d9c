"""Image files: which are ones, and their pixels as viewers show them."""

import math
import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kd.data.classes import printable
from kd.data.mapped import LARGE, ArrayFile, Scratch, mapped
from space.errors import InputError

GREY = ("1", "L")
"""Modes of pictures that need one channel; pictures of any other mode make the whole data set RGB."""
STUBS = ("BUFR", "GRIB", "HDF5", "MPEG", "EPS", "WMF")
"""Formats of which Pillow knows the name, but reads nothing without other programs."""
ORIENTATION = 0x0112
"""EXIF's tag for how a camera was held."""


@cache
def suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of the formats that Pillow reads."""
    return frozenset(
        suffix
        for suffix, format_ in Image.registered_extensions().items()
        if format_ in Image.OPEN and format_ not in STUBS
    )


def read_pictures(
    paths: Sequence[Path], size: tuple[int, int] | None, scratch: Scratch | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Pixels of all files, (n, height, width, 1) where every one is grey, else (n, height, width, 3), and notes.

    They are turned as EXIF says, on white where they are transparent, and of an animation the first frame is taken.

    Args:
        paths: at least one file.
        size: (height, width) to resize to; None: all pictures must have one size.
        scratch: where many of them stay on the disk; None to hold them all in memory.

    Raises:
        InputError: for a picture that cannot be read, has another size or more than 8 bits a channel; it is named.
    """
    seen: Counter[str] = Counter()
    pictures = _equal(paths, size, seen)
    first = next(pictures)
    if scratch is None or 3 * first[..., 0].size * len(paths) <= LARGE:
        pixels = _stacked([first, *pictures])
    else:
        channels = 1 if all(map(_holds_grey, paths)) else 3
        pixels = _on_disk(chain([first], pictures), (len(paths), *first.shape[:2], channels), scratch)
    return pixels, tuple(f"{count} of {len(paths)} pictures {what}" for what, count in sorted(seen.items()))


def _equal(paths: Sequence[Path], size: tuple[int, int] | None, seen: Counter[str]) -> Iterator[NDArray[np.uint8]]:
    """Pictures one by one; raises InputError for one of another size than the first."""
    expected: tuple[int, ...] = ()
    for path in paths:
        pixels = _pixels(path, size, seen)
        expected = expected or pixels.shape[:2]
        if pixels.shape[:2] != expected:
            (height, width), (first_height, first_width) = pixels.shape[:2], expected
            raise InputError(
                f"{printable(path)} is {width}×{height}, {printable(paths[0])} {first_width}×{first_height}: make them "
                "equal, or set data.size = [height, width]"
            )
        yield pixels


def _stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    channels = max(pixels.shape[2] for pixels in pictures)
    stacked = np.empty((len(pictures), *pictures[0].shape[:2], channels), np.uint8)
    for place, pixels in zip(stacked, pictures, strict=True):
        place[...] = pixels
    return stacked


def _on_disk(pictures: Iterator[NDArray[np.uint8]], shape: tuple[int, ...], scratch: Scratch) -> NDArray[np.uint8]:
    """The same on the disk, (n, height, width, channels)."""
    path = scratch.path("pictures.npy", math.prod(shape))
    with ArrayFile(path, shape, np.uint8) as file:
        for pixels in pictures:
            file.append(np.broadcast_to(pixels, shape[1:]))
    return mapped(path)


def _holds_grey(path: Path) -> bool:
    """Whether a file's picture needs one channel, which its header tells."""
    with _opened(path) as picture:
        return _is_grey(picture)


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in GREY and not picture.has_transparency_data


def _pixels(path: Path, size: tuple[int, int] | None, seen: Counter[str]) -> NDArray[np.uint8]:
    """Pixels of one file, (height, width, 1 or 3); `seen` counts what was done to it."""
    with _opened(path) as picture:
        if picture.mode.startswith(("I", "F")):
            raise InputError(f"{printable(path)} has more than 8 bits a pixel: convert it to 8 bits")
        if getattr(picture, "n_frames", 1) > 1:
            seen["hold several frames: the first is taken"] += 1
        grey = _is_grey(picture)
        if _orientation(picture) in range(2, 9):
            seen["are turned as their EXIF orientation says"] += 1
            picture = ImageOps.exif_transpose(picture)
        if picture.has_transparency_data:  # what lies under the transparent parts is not meant to be seen
            clear = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        pixels = picture.convert("L" if grey else "RGB")
        if size is not None and (pixels.height, pixels.width) != size:
            pixels = pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        values: NDArray[Any] = np.asarray(pixels)
        return values[..., None] if grey else values


def _orientation(picture: Image.Image) -> Any:
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, struct.error):  # damaged EXIF, of a sound picture
        return 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata, which change nothing that is read
            with Image.open(path) as picture:
                yield picture
    except InputError:
        raise
    # Pillow meets damaged files with any of these
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        reason = " ".join(printable(str(error)).split())
        raise InputError(f"{printable(path)} is not a readable image ({reason}): replace or delete it") from error
