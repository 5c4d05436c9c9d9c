"""Views: augmented passes over the training set with the teacher's logits for exactly those pixels.

A teacher's stage costs 2·channels·cells² bytes an image more: the last of MNIST's teacher, 128 channels in 4×4 cells,
225 MB a view of 55,000 images, whose pixels take 43 MB.

A view is written once, in an order of its own, and memory-mapped by every worker, so a batch is a slice. A mixed sample
has the label of its larger part. Where a policy changes nothing there is one view only.
"""

import hashlib
import json
import math
import mmap
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, augmented
from kd.data.dataset import DataSet, DataSource, gathered, load_once, values
from kd.data.mapped import LARGE, mapped, mapping_of, release, write_rows
from kd.data.mixup import mix
from kd.files import damaged_files, is_sound, move_whole, scratch_folder, write_manifest
from kd.optim.recipe import Recipe
from kd.teachers.fingerprint import fingerprint as fingerprint_of
from kd.teachers.loading import open_teacher
from kd.teachers.source import TeacherSource
from space.errors import InputError

FORMAT = 1
"""Raised when views of the same name would come out otherwise."""

BATCH, GPU_BATCH = 64, 1_024
"""Images a forward pass of the teacher; on a CPU its widest activations then stay in the second-level cache."""

FIELDS = ("images", "labels", "logits", "features")
"""Arrays of a view, each a file."""

UNAUGMENTED = -1
"""Index of the view without augmentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSource:
    """What a family of views is made from, and the `folder` that holds them.

    They are of the training split, or `with_validation` of training and validation samples.
    """

    folder: Path
    data: DataSource
    teacher: TeacherSource
    augmentation: Augmentation
    seed: int = 0
    with_validation: bool = False

    def weak(self) -> "ViewSource":
        """The views of half the augmentation, which lie in a folder of their own below."""
        return replace(self, folder=self.folder / "weak", augmentation=self.augmentation.weak(), seed=self.seed + 1)

    def view(self, index: int) -> Path:
        """Folder of one view."""
        return self.folder / ("unaugmented" if index == UNAUGMENTED else f"{index:03d}")


def view_source(
    cache: Path,
    data: DataSet,
    teacher: TeacherSource,
    augmentation: Augmentation,
    seed: int = 0,
    with_validation: bool = False,
    fingerprint: str | None = None,
) -> ViewSource:
    """The views of a loaded data set; their folder under `cache` is named after all that determines their content.

    Except for the device that makes them, which has a stream of random numbers of its own. The teacher's `fingerprint`
    is taken here unless it is known.

    Raises:
        InputError: for a file of logits as teacher of augmented samples, and a teacher's file that is not there unless
            its `fingerprint` is known.
    """
    augmentation = augmentation.effective(data.sequences)
    if teacher.stored and augmentation != NO_AUGMENTATION:
        raise InputError(
            f"teacher {', '.join(teacher.models)} has logits of samples as they are: "
            "set recipe.augmentation=none, or assistants.recipe.augmentation=none where it teaches an assistant"
        )
    if teacher.stored and with_validation:
        raise InputError(
            f"teacher {', '.join(teacher.models)} has logits of training samples: set retrain.with_validation=false"
        )
    made_of = {
        "data": data.digest,
        "teacher": fingerprint or fingerprint_of(teacher, data),
        "augmentation": augmentation.settings(),
        "seed": seed,
        "with_validation": with_validation,
    }
    return ViewSource(
        folder=cache / _key(made_of),
        data=data.source,
        teacher=teacher.resolved(missing_ok=fingerprint is not None),
        augmentation=augmentation,
        seed=seed,
        with_validation=with_validation,
    )


def assistant_views(
    source: ViewSource, data: DataSet, assistant: Path, augmentation: Augmentation, with_validation: bool = False
) -> ViewSource:
    """Views of the same data with the logits of an assistant that learns, or has learnt, from `source`.

    Args:
        source: the views it learns from.
        data: their data set.
        assistant: its file, still to be written, in a folder named after all that determines it.
        augmentation: what these views are made with.
        with_validation: whether of training and validation samples.
    """
    augmentation = augmentation.effective(data.sequences)
    made_of = {
        "assistant": assistant.parent.name,
        "augmentation": augmentation.settings(),
        "with_validation": with_validation,
    }
    return replace(
        source,
        folder=source.folder.parent / _key(made_of),
        teacher=TeacherSource(models=(str(assistant),)),
        augmentation=augmentation,
        with_validation=with_validation,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One pass: images (or sequences) and labels as in `kd.data.dataset.Split`, shuffled, float16 logits (n, classes).

    `features` are the maps of the teacher's stage, float16 (n, channels, height, width), None without a stage.
    `mappings` are those of what is too large for memory.
    """

    images: Tensor
    labels: Tensor
    logits: Tensor
    features: Tensor | None = None
    mappings: tuple[mmap.mmap, ...] = ()

    def map(self, change: Callable[[Tensor], Tensor]) -> "View":
        """The same with every tensor changed."""
        tensors = {name: getattr(self, name) for name in FIELDS}
        changed = {name: change(tensor) for name, tensor in tensors.items() if tensor is not None}
        return View(**changed, mappings=self.mappings)

    def parts(self) -> list[Tensor]:
        """Its tensors."""
        tensors = (getattr(self, name) for name in FIELDS)
        return [tensor for tensor in tensors if tensor is not None]

    def release(self) -> None:
        """Give back the memory of what was read of a large view; who goes through all of it does at times."""
        for mapping in self.mappings:
            release(mapping)


def open_view(source: ViewSource, index: int) -> View:
    """Memory-map a view that `make_view` wrote; raises InputError where a file of it is missing or cut short."""
    return read_view(source.view(index))


def read_view(folder: Path) -> View:
    """Memory-map the view in a folder; raises InputError as `open_view` does."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in FIELDS:
        file = folder / f"{name}.npy"
        if name == "features" and not file.exists():
            continue
        try:
            arrays[name] = mapped(file)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{file} is missing or damaged: go on with the same command, which makes it again"
            ) from error
    mappings = tuple(found for a in arrays.values() if a.nbytes > LARGE and (found := mapping_of(a)))
    return View(**{name: torch.from_numpy(array) for name, array in arrays.items()}, mappings=mappings)


def view_of(source: ViewSource, recipe: Recipe, epoch: int) -> tuple[ViewSource, int]:
    """Which view an epoch, counted from 0, is trained on; without augmentation there is but one."""
    if epoch in recipe.unaugmented_epochs or source.augmentation == NO_AUGMENTATION:
        return source, UNAUGMENTED
    if epoch in recipe.weak_augmentation_epochs:
        return source.weak(), (epoch - recipe.weak_augmentation_epochs.start) % recipe.views
    return source, epoch % recipe.views


def missing(source: ViewSource, recipe: Recipe) -> list[tuple[ViewSource, int]]:
    """Views that a recipe uses and that are still to be made, or made again, in the order of their use."""
    used = dict.fromkeys(view_of(source, recipe, epoch) for epoch in range(math.ceil(recipe.epochs)))
    return [(family, index) for family, index in used if not is_sound(family.view(index))]


def make_view(
    source: ViewSource, index: int, device: str, data: DataSet | None = None, teacher: nn.Module | None = None
) -> None:
    """Write one view, whole or not at all; does nothing if it exists and is sound.

    Args:
        source: what it is made from.
        index: which view, or `UNAUGMENTED`.
        device: where.
        data: the data set; loaded unless it is given.
        teacher: the network that teaches where that is no file; not changed.

    Raises:
        InputError: for what `open_teacher` refuses, and for logits or maps beyond float16.
    """
    path = source.view(index)
    if is_sound(path):
        return
    with scratch_folder(path.parent, path.name) as folder:
        if is_sound(path):  # another process has made it meanwhile
            return
        data = data or load_once(source.data)
        batches = _batches(source, index, device, data, teacher)
        arrays = ({name: tensor.numpy() for name, tensor in batch.items()} for batch in batches)
        write_manifest(folder, write_rows(folder, _rows(source, data), arrays))
        _remove_damaged(path)
        move_whole(folder, path)


def view_bytes(source: ViewSource, data: DataSet) -> int:
    """What a view takes on the disk, without the maps of a teacher's stage [bytes]."""
    sample = data.train.images[0].nbytes + data.train.labels.itemsize + data.classes * torch.float16.itemsize
    return _rows(source, data) * sample


def _rows(source: ViewSource, data: DataSet) -> int:
    return len(data.train.labels) + source.with_validation * len(data.validation.labels)


def damage(source: ViewSource, index: int) -> str:
    """What is wrong with a view that was written, in a few words; nothing where it is sound or was never written."""
    path = source.view(index)
    return ", ".join(damaged_files(path)) if path.is_dir() else ""


def _remove_damaged(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _batches(
    source: ViewSource, index: int, device: str, data: DataSet, module: nn.Module | None
) -> Iterator[dict[str, Tensor]]:
    """The fields of a `View`, batch by batch."""
    splits = (data.train, data.validation) if source.with_validation else (data.train,)
    maps: list[Tensor] = []
    teacher = open_teacher(
        source.teacher, data, torch.device(device), lambda one: maps.append(one.half().cpu()), module
    )
    generator = torch.Generator(device).manual_seed(source.seed * 100_003 + index + 1)
    order = torch.randperm(_rows(source, data), generator=generator, device=device).cpu()
    for places in order.split(BATCH if device == "cpu" else GPU_BATCH):
        maps.clear()  # of the batch before, and of the samples that the teacher was tried on
        batch = gathered(splits, places)
        images, labels = batch.images, batch.labels
        samples = images.to(device)
        if index != UNAUGMENTED:
            shown = augmented(values(samples), data, source.augmentation, generator)
            shown, mixed = mix(shown, labels.to(device), source.augmentation, generator)
            samples = shown if data.sequences else (shown * 255).round().to(torch.uint8)
            images, labels = samples.cpu(), mixed.cpu()
        given = {"logits": teacher(values(samples), places).half().cpu()}
        given |= {"features": torch.cat(maps)} if maps else {}
        for name, tensor in given.items():
            if not bool(tensor.isfinite().all()):
                models = ", ".join(source.teacher.models)
                raise InputError(f"teacher {models} gives {name} that are not finite as float16: scale them down")
        yield {"images": images, "labels": labels, **given}


def _key(made_of: dict[str, Any]) -> str:
    content = json.dumps({"format": FORMAT, **made_of}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
