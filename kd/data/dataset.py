"""Data sets: loaded strictly, split once, held as tensors."""

import hashlib
import mmap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from kd.data import named, prepared
from kd.data.checks import checked
from kd.data.mapped import LARGE, mapping_of, release, scratch_at
from kd.data.prepared import About, Chosen
from kd.data.raw import Arrays, Raw
from kd.data.reading import read
from kd.data.samples import Form, Kind, Layout, limits
from kd.data.splits import few_samples_notes, hold_out, uneven_notes
from kd.data.statistics import moments_of
from space.errors import InputError

ASSETS, KNOWN = named.ASSETS, named.KNOWN
"""What comes with wunderkind, and data sets with a name."""

HELD_OUT = 5_000
"""Samples held out for validation, of data sets that are large enough."""
FORM = ("kind", "layout", "range")
"""Fields of a `DataSource` that say how arrays are read."""

Side = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Which data to load and how to split it; what is held out is stratified by class and fixed by `seed`.

    >>> data = load(DataSource(name="mnist", validation=1_000))
    >>> data.shape, data.classes, len(data.train.labels), len(data.validation.labels)
    ((1, 28, 28), 10, 59000, 1000)
    """

    name: str = "mnist"
    """A name that `wunderkind data` knows, or a path: an `.npz` file with `x_train y_train` and, if there are any,
    `x_test y_test` and `x_val y_val`; a folder of IDX files; a folder of class folders of images, below `train` and
    `test` or unsplit. In an `.npz` images are (n, height, width), (n, height, width, channels) or (n, channels, height,
    width), sequences (n, time, features), and labels integers from 0 or 1, one-hot or text."""
    kind: Kind | None = None
    """What the arrays of an `.npz` hold; left out, (n, a, b) of bytes are images and of floating numbers sequences."""
    layout: Layout | None = None
    """Which axes come first: of images channels_first or channels_last, of sequences time_first or features_first."""
    range: str | None = None
    """Values of black and white in the images of an `.npz`, like "0..1"; left out, 0..1, -1..1 and 0..255 are
    recognised."""
    sha256: str | None = None
    """Checksum that the data must have; not checked where there is none."""
    validation: int | None = None
    """Training samples held out for validation where the data have no validation split; left out, 5,000, or a fifth of
    fewer than 25,000 [samples]."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Fixes what is held out."""
    size: tuple[Side, Side] | None = None
    """Height and width that the images of a folder are resized to; without it they must be of one size [pixels]."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Samples held out for the test where the data have no test split [share]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Labels int64 of shape (n,) and what they label.

    Images are uint8 (n, channels, height, width), sequences float32 (n, time, features). Those too large for memory are
    on the disk, in a `mapping`.
    """

    images: Tensor
    labels: Tensor
    mapping: mmap.mmap | None = None

    def taken(self, places: Tensor) -> Tensor:
        """The images at some places, in memory: where they lie on the disk a page of one may be two megabytes."""
        images = self.images[places]
        self.release()
        return images

    def release(self) -> None:
        """Give back the memory of images that were read from the disk; who goes through all of them does at times."""
        release(self.mapping)

    @property
    def majority(self) -> float:
        """Share of the largest class: the accuracy of a constant answer."""
        return float(self.labels.bincount().max()) / len(self.labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """A loaded data set.

    `origin` is where it was read, `digest` identifies content and split, `names` are the classes'. `mean` and `std`
    have one value a channel, over training images with pixels in 0..1, or a feature, over training sequences. `rows`,
    int64 of shape (n,), says which of the `given` samples of the source's training split those of `train` are. `notes`
    tell what was guessed, left out or cannot be done well, one line each.

    >>> data = load("mnist")
    >>> data.shape, data.classes, len(data.train.labels), len(data.validation.labels), len(data.test.labels)
    ((1, 28, 28), 10, 55000, 5000, 10000)
    >>> data.first(64).train.images.shape
    torch.Size([64, 1, 28, 28])
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
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width) of an image, (time, features) of a sequence."""
        return tuple(self.train.images.shape[1:])

    @property
    def sequences(self) -> bool:
        """Whether it holds sequences, not images."""
        return self.train.images.dtype != torch.uint8

    def first(self, count: int) -> "DataSet":
        """The first `count` samples of every split, with statistics of the whole: something to try things out with."""

        def part(split: Split) -> Split:
            return replace(split, images=split.images[:count], labels=split.labels[:count])

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
    """Load and check a data set, by its source or its name alone; raises InputError for a damaged or ill-shaped one.

    One too large for memory is prepared on the disk, below `kd.data.named.cache_folder`, and found there afterwards.
    """
    if isinstance(source, str):
        source = DataSource(name=source)
    place, path = named.cache_folder() / "prepared", Path(source.name)
    keeps = bool(source.name) and source.name not in KNOWN and path.exists()
    name = prepared.stamp(path, asdict(source)) if keeps and place.is_dir() else ""
    if name and (about := prepared.find(place, name)):
        return _data_set(source, about, prepared.arrays_of(place / about.digest))
    formed = any(getattr(source, key) is not None for key in FORM)
    with scratch_at(place) as scratch:
        raw = read(source.name, source.size, formed, scratch)
        for expected in (named.SHIPPED.get(source.name), source.sha256):
            if expected is not None and raw.checksum != expected:
                raise InputError(f"checksum of {raw.origin} is {raw.checksum}, expected {expected}: get the data again")
        about, chosen = _divided(source, raw)
        large = keeps and prepared.size_of(chosen) > LARGE
        arrays = prepared.prepare(place, about.digest, chosen) if large else prepared.in_memory(chosen)
    mean, std = moments_of(arrays["x_train"])
    about = replace(about, mean=mean, std=std)
    if large:
        prepared.remember(place, name or prepared.stamp(path, asdict(source)), about)
    return _data_set(source, about, arrays)


def _divided(source: DataSource, raw: Raw) -> tuple[About, dict[str, Chosen]]:
    """What is known of a data set before its statistics are, and which of the samples found make which split."""
    found = checked(raw, Form(kind=source.kind, layout=source.layout, range=limits(source.range)))
    parts = {part: (x, y, np.arange(len(y))) for part, (x, y) in found.parts.items()}
    names, notes, (x, y, rows) = found.names, list(found.notes), parts["train"]
    form = [f"{key} {value}" for key in FORM if (value := getattr(source, key)) is not None]
    identity: list[object] = [raw.checksum, source.validation, source.seed, *form]
    if "test" not in parts:
        count = max(1, round(source.test * len(y)))
        split = hold_out(y, rows, count, f"data.test = {source.test} (--test)", source.seed, names)
        rows, parts["test"] = split.kept, (x, y, split.taken)
        notes += [
            f"no test split: {count:,} of {len(y):,} samples are held out for it (data.test)",
            *split.notes("test"),
        ]
        identity.append(f"test {source.test}")
    if "val" not in parts:
        count = min(HELD_OUT, max(1, len(rows) // 5)) if source.validation is None else source.validation
        split = hold_out(y, rows, count, f"data.validation = {count} (--validation)", source.seed, names)
        if source.validation is None and count < HELD_OUT:
            notes.append(f"{count:,} of {len(rows):,} training samples are held out for validation (data.validation)")
        rows, parts["val"] = split.kept, (x, y, split.taken)
        notes += split.notes("validation")
        identity[1] = count
    parts["train"] = x, y, rows
    notes += few_samples_notes(len(parts["val"][2]), "validation") + uneven_notes(y[rows], names)
    about = About(
        origin=raw.origin,
        digest=hashlib.sha256(" ".join(map(str, identity)).encode()).hexdigest()[:16],
        names=names,
        mean=(),
        std=(),
        given=len(y),
        notes=tuple(notes),
    )
    return about, parts


def _data_set(source: DataSource, about: About, arrays: Arrays) -> DataSet:
    """A data set with its arrays, `x_train`, `y_train`, …, `rows`."""
    splits = {}
    for part in ("train", "val", "test"):
        images, labels = arrays[f"x_{part}"], torch.from_numpy(np.array(arrays[f"y_{part}"]))
        splits[part] = Split(images=torch.from_numpy(images), labels=labels, mapping=mapping_of(images))
    return DataSet(
        name=Path(source.name).resolve().name.removesuffix(".npz"),
        source=source,
        origin=about.origin,
        digest=about.digest,
        names=about.names,
        mean=about.mean,
        std=about.std,
        train=splits["train"],
        validation=splits["val"],
        test=splits["test"],
        rows=torch.from_numpy(np.array(arrays["rows"])),
        given=about.given,
        notes=about.notes,
    )


@lru_cache(maxsize=1)
def load_once(source: DataSource) -> DataSet:
    """`load`, remembered: a worker process runs hundreds of tasks on the same data."""
    return load(source)


def gathered(splits: Sequence[Split], places: Tensor) -> Split:
    """Samples at some places of splits that follow each other, in that order, in memory."""
    if len(splits) == 1:
        return Split(images=splits[0].taken(places), labels=splits[0].labels[places])
    images = torch.empty((len(places), *splits[0].images.shape[1:]), dtype=splits[0].images.dtype)
    labels, start = torch.empty(len(places), dtype=torch.int64), 0
    for split in splits:
        mine = (places >= start) & (places < start + len(split.labels))
        images[mine], labels[mine] = split.taken(places[mine] - start), split.labels[places[mine] - start]
        start += len(split.labels)
    return Split(images=images, labels=labels)


def class_counts(data: DataSet) -> Tensor:
    """Samples of each class, int64 of shape (3, classes): training, validation, test."""
    splits = (data.train, data.validation, data.test)
    return torch.stack([torch.bincount(split.labels, minlength=data.classes) for split in splits])


def equal_parts(samples: Tensor, most: int) -> tuple[Tensor, ...]:
    """Samples in parts of at most `most`, equal but for one, so that averages over parts are fair."""
    return samples.tensor_split(-(-len(samples) // most))


def values(images: Tensor) -> Tensor:
    """Samples as a teacher or an exported student takes them, float32: pixels in 0..1, sequences as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def per_channel(statistic: Sequence[float], shape: tuple[int, ...], device: torch.device | None = None) -> Tensor:
    """Values one a channel, to be broadcast over samples of `shape`: float32 (channels, 1, 1), or (features,)."""
    table = torch.tensor(statistic, dtype=torch.float32, device=device)
    return table if len(shape) == 2 else table[:, None, None]


def layout(samples: Tensor) -> torch.memory_format:
    """How samples lie in memory: images with their channels last, which convolutions are fastest on."""
    return torch.channels_last if samples.ndim == 4 else torch.contiguous_format
