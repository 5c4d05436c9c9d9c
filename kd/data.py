"""Data sets: loaded strictly, split once, held as uint8 tensors."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from space.errors import InputError

ASSETS = Path(__file__).parent / "assets"
SHIPPED = {"mnist": "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"}
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Which data to load and how to split it.

    `name` is a shipped data set ("mnist") or the path of an `.npz` file holding `x_train y_train x_test y_test`:
    images uint8 of shape (n, height, width) or (n, channels, height, width), labels integers 0..classes-1.
    `sha256`, if given, must match the file. `validation` images are held out of the training split,
    stratified by class and fixed by `seed`.
    """

    name: str = "mnist"
    sha256: str | None = None
    validation: int = 5_000
    seed: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Images uint8 of shape (n, channels, height, width) and labels int64 of shape (n,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """A loaded data set; `digest` identifies the file and the split, `mean` and `std` are of pixels in 0..1."""

    name: str
    source: DataSource
    digest: str
    classes: int
    mean: float
    std: float
    train: Split
    validation: Split
    test: Split

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load(source: DataSource) -> DataSet:
    """Load and check a data set; raises InputError for a missing, damaged or ill-shaped file."""
    path = ASSETS / f"{source.name}.npz" if source.name in SHIPPED else Path(source.name)
    if source.name not in SHIPPED and path.suffix != ".npz":
        raise InputError(
            f"unknown data set '{source.name}': use one of {', '.join(SHIPPED)} or the path of an .npz file"
        )
    if not path.is_file():
        raise InputError(f"no data file at {path}: check the path")
    content = path.read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    expected = SHIPPED.get(source.name, source.sha256)
    if expected is not None and checksum != expected:
        raise InputError(f"checksum of {path} is {checksum}, expected {expected}: the file is damaged, get it again")
    arrays = _read(path, content)
    x_train, y_train = _check(path, "train", arrays["x_train"], arrays["y_train"])
    x_test, y_test = _check(path, "test", arrays["x_test"], arrays["y_test"])
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{path}: x_train images are {x_train.shape[1:]}, x_test images {x_test.shape[1:]}: make them equal"
        )
    classes = _count_classes(path, y_train, y_test)
    if not classes <= source.validation <= len(y_train) - classes:
        raise InputError(
            f"data.validation is {source.validation}: it must leave at least one image a class on both sides "
            f"({classes} to {len(y_train) - classes})"
        )
    held_out = stratified(y_train, source.validation, source.seed)
    kept = np.setdiff1d(np.arange(len(y_train)), held_out)
    mean, std = _moments(x_train[kept])
    digest = hashlib.sha256(f"{checksum} {source.validation} {source.seed}".encode()).hexdigest()[:16]
    return DataSet(
        name=path.stem,
        source=source,
        digest=digest,
        classes=classes,
        mean=round(mean, 6),
        std=round(max(std, 1e-3), 6),
        train=_split(x_train[kept], y_train[kept]),
        validation=_split(x_train[held_out], y_train[held_out]),
        test=_split(x_test, y_test),
    )


def stratified(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` samples in which every class keeps its share (largest remainders), ascending."""
    generator = np.random.default_rng(seed)
    members = [generator.permutation(np.flatnonzero(labels == c)) for c in range(int(labels.max()) + 1)]
    shares = np.array([len(m) for m in members]) * count / len(labels)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    return np.sort(np.concatenate([m[:n] for m, n in zip(members, counts, strict=True)]))


def _read(path: Path, content: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            missing = [name for name in ARRAYS if name not in archive]
            if missing:
                raise InputError(f"{path} lacks {', '.join(missing)}: it must hold {' '.join(ARRAYS)}")
            return {name: archive[name] for name in ARRAYS}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a readable .npz file ({error}): save it with numpy.savez") from error


def _check(
    path: Path, part: str, images: NDArray[np.generic], labels: NDArray[np.generic]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if images.dtype != np.uint8:
        raise InputError(f"{path}: x_{part} is {images.dtype}, must be uint8 pixels 0..255")
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4 or 0 in images.shape:
        raise InputError(f"{path}: x_{part} has shape {images.shape}, must be (n, [channels,] height, width)")
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{path}: y_{part} is {labels.dtype} of shape {labels.shape}, must be {len(images)} integers")
    return images.astype(np.uint8, copy=False), labels.astype(np.int64)


def _count_classes(path: Path, y_train: NDArray[np.int64], y_test: NDArray[np.int64]) -> int:
    present = np.unique(y_train)
    if len(present) < 2 or not np.array_equal(present, np.arange(len(present))):
        raise InputError(
            f"{path}: y_train holds labels {present[:12].tolist()}, must be 0..classes-1, each at least once"
        )
    if not np.isin(y_test, present).all():
        raise InputError(
            f"{path}: y_test holds labels that y_train lacks: {np.setdiff1d(y_test, present)[:12].tolist()}"
        )
    return len(present)


def _moments(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of pixels in 0..1, without a float copy of all images."""
    first = second = 0.0
    for start in range(0, len(images), 1_000):
        pixels = images[start : start + 1_000] / 255
        first, second = first + float(pixels.sum()), second + float(np.square(pixels).sum())
    mean = first / images.size
    return mean, max(0.0, second / images.size - mean**2) ** 0.5


def _split(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    return Split(images=torch.from_numpy(np.ascontiguousarray(images)), labels=torch.from_numpy(labels))
