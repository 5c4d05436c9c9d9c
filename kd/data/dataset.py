"""Data sets: loaded strictly, split once, held as tensors."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kd.data import folders as images
from kd.data import idx, named, npz
from kd.data.checks import Part, checked
from kd.data.raw import Raw
from space.errors import InputError

ASSETS = Path(__file__).parents[1] / "assets"
SHIPPED = {"mnist": "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"}
KNOWN = (*SHIPPED, *named.NAMES)
"""Data sets with a name."""

Side = Annotated[int, Field(ge=1)]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Which data to load and how to split it; what is held out is stratified by class and fixed by `seed`.

    >>> data = load(DataSource(name="mnist", validation=1_000))
    >>> data.shape, data.classes, len(data.train.labels), len(data.validation.labels)
    ((1, 28, 28), 10, 59000, 1000)
    """

    name: str = "mnist"
    """A name that `wunderkind data` knows, or a path: an `.npz` file with `x_train y_train x_test y_test` and, if there
    is one, a validation split `x_val y_val`; a folder of IDX files; a folder of class folders of images, below `train`
    and `test` or unsplit. In an `.npz` images are uint8, (n, height, width), (n, height, width, channels) or (n,
    channels, height, width), sequences floating, (n, time, features), and labels integers from 0."""
    sha256: str | None = None
    """Checksum that the data must have; not checked where there is none."""
    validation: int = 5_000
    """Training samples held out for validation where the data have no validation split [samples]."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Fixes what is held out."""
    size: tuple[Side, Side] | None = None
    """Height and width that the images of a folder are resized to; without it they must be of one size [pixels]."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Samples held out for the test where the data have no test split [share]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Labels int64 of shape (n,) and what they label.

    Images are uint8 (n, channels, height, width), sequences float32 (n, time, features).
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """A loaded data set.

    `origin` is where it was read, `digest` identifies content and split, `names` are the classes'. `mean` and `std`
    have one value a channel, over training images with pixels in 0..1, or a feature, over training sequences. `rows`,
    int64 of shape (n,), says which of the `given` samples of the source's training split those of `train` are.
    """

    name: str
    source: DataSource
    origin: str
    digest: str
    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split
    validation: Split
    test: Split
    rows: Tensor
    given: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of an image, (time, features) of a sequence."""
        return tuple(self.train.images.shape[1:])

    @property
    def labelled(self) -> Split:
        """Training and validation samples together."""
        parts = (self.train, self.validation)
        return Split(images=torch.cat([p.images for p in parts]), labels=torch.cat([p.labels for p in parts]))

    @property
    def sequences(self) -> bool:
        """Whether it holds sequences, not images."""
        return self.train.images.dtype != torch.uint8

    def first(self, count: int) -> "DataSet":
        """The first `count` samples of every split, with statistics of the whole: something to try things out with."""

        def part(split: Split) -> Split:
            return Split(images=split.images[:count], labels=split.labels[:count])

        return replace(
            self,
            digest=hashlib.sha256(f"{self.digest} first {count}".encode()).hexdigest()[:16],
            train=part(self.train),
            validation=part(self.validation),
            test=part(self.test),
            rows=self.rows[:count],
        )

    def moments(self, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """`mean` and `std` to be broadcast over what `kd.data.dataset.values` gives."""
        return per_channel(self.mean, self.shape, device), per_channel(self.std, self.shape, device)


def load(source: DataSource | str) -> DataSet:
    """Load and check a data set, by its source or its name alone; raises InputError for a damaged or ill-shaped one."""
    if isinstance(source, str):
        source = DataSource(name=source)
    raw = _read(source)
    for expected in (SHIPPED.get(source.name), source.sha256):
        if expected is not None and raw.checksum != expected:
            raise InputError(f"checksum of {raw.origin} is {raw.checksum}, expected {expected}: get the data again")
    parts, classes = checked(raw)
    x, y = parts["train"]
    rows = np.arange(len(y))
    identity: list[object] = [raw.checksum, source.validation, source.seed]
    if "test" not in parts:
        count = round(source.test * len(y))
        rows, taken = _held_out(y, rows, count, f"data.test is {source.test} (--test)", source.seed, classes)
        parts["test"] = x[taken], y[taken]
        identity.append(f"test {source.test}")
    if "val" not in parts:
        count = source.validation
        rows, taken = _held_out(y, rows, count, f"data.validation is {count} (--validation)", source.seed, classes)
        parts["val"] = x[taken], y[taken]
    parts["train"] = x[rows], y[rows]
    mean, std = _moments(parts["train"][0])
    digest = hashlib.sha256(" ".join(map(str, identity)).encode()).hexdigest()[:16]
    return DataSet(
        name=Path(source.name).resolve().name.removesuffix(".npz"),
        source=source,
        origin=raw.origin,
        digest=digest,
        names=raw.names or tuple(map(str, range(classes))),
        mean=mean,
        std=std,
        train=_split(parts["train"]),
        validation=_split(parts["val"]),
        test=_split(parts["test"]),
        rows=torch.from_numpy(rows),
        given=len(y),
    )


@lru_cache(maxsize=1)
def load_once(source: DataSource) -> DataSet:
    """`load`, remembered: a worker process runs hundreds of tasks on the same data."""
    return load(source)


def class_counts(data: DataSet) -> Tensor:
    """Samples of each class, int64 of shape (3, classes): training, validation, test."""
    splits = (data.train, data.validation, data.test)
    return torch.stack([torch.bincount(split.labels, minlength=data.classes) for split in splits])


def equal_parts(samples: Tensor, most: int) -> tuple[Tensor, ...]:
    """Samples in parts of at most `most`, equal but for one, so that averages over parts are fair."""
    return samples.tensor_split(-(-len(samples) // most))


def values(images: Tensor) -> Tensor:
    """Samples as a teacher or an exported student takes them, float32: pixels in 0..1, sequences as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def per_channel(statistic: Sequence[float], shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
    """Values one a channel, to be broadcast over samples of `shape`: float32 (channels, 1, 1), or (features,)."""
    table = torch.tensor(statistic, dtype=torch.float32, device=device)
    return table if len(shape) == 2 else table[:, None, None]


def layout(samples: Tensor) -> torch.memory_format:
    """How samples lie in memory: images with their channels last, which convolutions are fastest on."""
    return torch.channels_last if samples.ndim == 4 else torch.contiguous_format


def stratified(labels: Indices, count: int, seed: int) -> Indices:
    """Indices of `count` samples in which every class keeps its share (largest remainders), ascending."""
    generator = np.random.default_rng(seed)
    members = [generator.permutation(np.flatnonzero(labels == c)) for c in range(int(labels.max()) + 1)]
    shares = np.array([len(m) for m in members]) * count / len(labels)
    counts = np.floor(shares).astype(int)
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    return np.sort(np.concatenate([m[:n] for m, n in zip(members, counts, strict=True)]))


def _read(source: DataSource) -> Raw:
    path = Path(source.name)
    if source.name and source.name not in KNOWN and path.is_dir() and not idx.find(path):
        return images.read(path, source.size)
    if source.size is not None:
        raise InputError(f"data.size = {list(source.size)}: only folders of pictures are resized: leave it out")
    if source.name in SHIPPED:
        return npz.read(ASSETS / f"{source.name}.npz")
    if source.name in named.NAMES:
        return named.read(source.name, named.cache_folder())
    if path.suffix == ".npz":
        return npz.read(path)
    if not source.name or not path.is_dir():
        raise InputError(
            f"unknown data set '{source.name}': use one of {', '.join(KNOWN)} or the path of an "
            ".npz file, of a folder of IDX files or of class folders of images"
        )
    return idx.read(path)


def _held_out(
    labels: Indices, rows: Indices, count: int, setting: str, seed: int, classes: int
) -> tuple[Indices, Indices]:
    """The rows that stay in the training split, and `count` that are taken out of it, stratified."""
    y = labels[rows]
    if not classes <= count <= len(y) - classes:
        raise InputError(
            f"{setting}: it must be at least as many samples as there are classes, and leave as many: choose {classes} "
            f"to {len(y) - classes} of these {len(y)}"
        )
    taken = stratified(y, count, seed)
    kept = np.setdiff1d(np.arange(len(y)), taken)
    lost = np.setdiff1d(np.arange(classes), y[kept])
    if len(lost):
        raise InputError(f"{setting}: it takes all {int((y == lost[0]).sum())} samples of class {lost[0]}: lower it")
    return rows[kept], rows[taken]


def _moments(x: NDArray[Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel; pixels, which are only counted, in 0..1."""
    if x.dtype != np.uint8:
        mean = x.mean(axis=(0, 1), dtype=np.float64)
        deviation = x.std(axis=(0, 1), dtype=np.float64)
        return tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist())
    level = np.arange(256) / 255
    pairs: list[tuple[float, float]] = []
    for channel in range(x.shape[1]):
        parts = (x[start : start + 1_000, channel].ravel() for start in range(0, len(x), 1_000))
        share = sum(np.bincount(part, minlength=256) for part in parts) / (x.size // x.shape[1])
        centre = float(share @ level)
        pairs.append((round(centre, 6), round(max(float(share @ (level - centre) ** 2) ** 0.5, 1e-3), 6)))
    means, deviations = zip(*pairs, strict=True)
    return means, deviations


def _split(part: Part) -> Split:
    x, y = part
    return Split(images=torch.from_numpy(np.ascontiguousarray(x)), labels=torch.from_numpy(y))
