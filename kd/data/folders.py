"""A folder of class folders of image files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kd.data.raw import Raw, fingerprint
from space.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
GREY = ("1", "L")
"""Modes of pictures that need one channel; pictures of any other mode make the whole data set RGB."""

Pictures = list[tuple[Path, int]]


def read(folder: Path, size: tuple[int, int] | None) -> Raw:
    """Read `train/CLASS/*.png`, `test/CLASS/*.png` and, if it is there, `val/CLASS/*.png`, or `CLASS/*.png` unsplit.

    Args:
        folder: holds `train` and `test`, or the class folders themselves; class folders in alphabetical order are
            the labels 0, 1, ….
        size: (height, width) to resize to; None: all pictures must have one size.

    Returns:
        Pictures uint8 of shape (n, height, width, channels), grey where all of them are, on white where they are
        transparent; without `x_test` where there is no split.

    Raises:
        InputError: for a picture that cannot be read or has another size, which it names, for a class folder that is
            empty or missing in training, and for a split without any picture.
    """
    roots = {part: folder / part for part in ("train", "val", "test") if (folder / part).is_dir()}
    if "train" not in roots:
        roots = {"train": folder}
    elif "test" not in roots:
        raise InputError(f"{folder} has train but no test: add it, or put the class folders side by side in {folder}")
    names = _classes(roots["train"])
    if len(names) < 2:
        raise InputError(f"{roots['train']} holds {len(names)} class folders: make one for each class, at least two")
    pictures: dict[str, Pictures] = {}
    for part, root in roots.items():
        unknown = [name for name in _classes(root) if name not in names]
        if unknown:
            raise InputError(f"{root} holds class {unknown[0]}, {roots['train']} does not: every class must be trained")
        pictures[part] = [(path, c) for c, name in enumerate(names) for path in _files(root / name)]
    empty = sorted(set(range(len(names))) - {label for _, label in pictures["train"]})
    if empty:
        raise InputError(f"{roots['train'] / names[empty[0]]} holds no images ({' '.join(SUFFIXES)}): add some")
    bare = [str(roots[part]) for part, entries in pictures.items() if not entries]
    if bare:
        raise InputError(f"{bare[0]} holds no images ({' '.join(SUFFIXES)}): add some, or remove it")
    grey = _check([path for entries in pictures.values() for path, _ in entries], size)
    arrays: dict[str, NDArray[Any]] = {}
    for part, entries in pictures.items():
        arrays[f"x_{part}"] = np.array([_pixels(path, size, grey) for path, _ in entries])
        arrays[f"y_{part}"] = np.array([label for _, label in entries], dtype=np.int64)
    return Raw(origin=str(folder), checksum=fingerprint(arrays), arrays=arrays, names=tuple(names))


def _classes(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _files(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _check(paths: list[Path], size: tuple[int, int] | None) -> bool:
    """Read the headers: one size unless pictures are resized; whether all are grey."""
    grey, first = True, (0, 0)
    for path in paths:
        with _opened(path) as picture:
            if picture.mode.startswith(("I", "F")):
                raise InputError(f"{path} has more than 8 bits a pixel: convert it to 8 bits")
            grey = grey and picture.mode in GREY
            first = picture.size if path == paths[0] else first
            if size is None and picture.size != first:
                raise InputError(
                    f"{path} is {picture.width}×{picture.height}, {paths[0]} {first[0]}×{first[1]}: make them "
                    "equal, or set data.size = [height, width]"
                )
    return grey


def _pixels(path: Path, size: tuple[int, int] | None, grey: bool) -> NDArray[np.uint8]:
    with _opened(path) as picture:
        if picture.has_transparency_data:  # what lies under the transparent parts is not meant to be seen
            clear = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        pixels = picture.convert("L" if grey else "RGB")
        if size is not None and (pixels.height, pixels.width) != size:
            pixels = pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        values = np.asarray(pixels)
        return values[..., None] if grey else values


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except InputError:
        raise
    # Pillow meets damaged files with any of these
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image ({error}): replace or delete it") from error
