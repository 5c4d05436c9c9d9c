"""Views: augmented passes over the training set with the teacher's logits for exactly those pixels.

A teacher's stage costs 2·channels·cells² bytes an image more: the last of MNIST's teacher, 128 channels in 4×4 cells,
225 MB a view of 55,000 images, whose pixels take 43 MB.

A view is written once, in an order of its own, and memory-mapped by every worker, so a batch is a slice. A mixed sample
has the label of its larger part.
"""

import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, augmented
from kd.data.dataset import DataSet, DataSource, load, values
from kd.data.mixup import mix
from kd.optim.recipe import Recipe
from kd.teachers.loading import open_teacher
from kd.teachers.source import TeacherSource
from space.errors import InputError

FORMAT = 2
BATCH, GPU_BATCH = 64, 1_024
"""Images a forward pass of the teacher; on a CPU its widest activations then stay in the second-level cache."""

CLEAN = -1
"""The index of the view without augmentation."""


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

    def mild(self) -> "ViewSource":
        """The views of half the augmentation, which lie in a folder of their own below."""
        return replace(self, folder=self.folder / "mild", augmentation=self.augmentation.mild(), seed=self.seed + 1)

    def view(self, index: int) -> Path:
        """Folder of one view."""
        return self.folder / ("clean" if index == CLEAN else f"{index:03d}")


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
    if teacher.stored and augmentation != NO_AUGMENTATION:
        raise InputError(
            f"teacher {', '.join(teacher.models)} answers for samples as they are: "
            "set recipe.augmentation=none, or assistants.recipe.augmentation=none where it teaches an assistant"
        )
    if teacher.stored and with_validation:
        raise InputError(
            f"teacher {', '.join(teacher.models)} answers for training samples: set retrain.with_validation=false"
        )
    made_of = {
        "format": FORMAT,
        "data": data.digest,
        "teacher": fingerprint or teacher.fingerprint(),
        "augmentation": augmentation.settings(),
        "seed": seed,
    }
    if with_validation:
        made_of["with_validation"] = True
    return ViewSource(
        folder=cache / _key(made_of),
        data=data.source,
        teacher=teacher.resolved(missing_ok=fingerprint is not None),
        augmentation=augmentation,
        seed=seed,
        with_validation=with_validation,
    )


def assistant_views(
    source: ViewSource, assistant: Path, augmentation: Augmentation, with_validation: bool = False
) -> ViewSource:
    """Views of the same data with the answers of an assistant that learns, or has learnt, from `source`.

    Args:
        source: the views it learns from.
        assistant: its file, still to be written, in a folder named after all that determines it.
        augmentation: what these views are made with.
        with_validation: whether of training and validation samples.
    """
    made_of = {"format": FORMAT, "assistant": assistant.parent.name, "augmentation": augmentation.settings()}
    if with_validation:
        made_of["with_validation"] = True
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
    """

    images: Tensor
    labels: Tensor
    logits: Tensor
    features: Tensor | None = None

    def to(self, device: torch.device) -> "View":
        """The same on a device; on the CPU nothing is copied."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return View(**{name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None})


def open_view(source: ViewSource, index: int) -> View:
    """Memory-map a view that `make_view` wrote."""
    # copy-on-write: nothing is copied and the file cannot be changed, yet torch sees a writable array
    files = source.view(index).iterdir()
    return View(**{file.stem: torch.from_numpy(np.load(file, mmap_mode="c")) for file in files})


def view_of(source: ViewSource, recipe: Recipe, epoch: int) -> tuple[ViewSource, int]:
    """Which view an epoch, counted from 0, is trained on."""
    if epoch in recipe.clean:
        return source, CLEAN
    if epoch in recipe.mild:
        return source.mild(), (epoch - recipe.mild.start) % recipe.views
    return source, epoch % recipe.views


def missing(source: ViewSource, recipe: Recipe) -> list[tuple[ViewSource, int]]:
    """Views of a recipe that are still to be made; of a cosine schedule, whose end is known, those that it uses."""
    used = recipe.epochs - len(recipe.mild) - len(recipe.clean) if recipe.schedule == "cosine" else recipe.views
    views = [(source, index) for index in range(min(recipe.views, used))]
    views += [(source.mild(), index) for index in range(min(recipe.views, len(recipe.mild)))]
    views += [(source, CLEAN)] if recipe.clean else []
    return [(family, index) for family, index in views if not family.view(index).is_dir()]


def make_view(source: ViewSource, index: int, device: str) -> None:
    """Write one view, whole or not at all; does nothing if it exists. Raises InputError for answers out of range."""
    path = source.view(index)
    if path.is_dir():
        return
    data = load(source.data)
    split = data.labelled if source.with_validation else data.train
    logits: list[Tensor] = []
    features: list[Tensor] = []
    teacher = open_teacher(source.teacher, data, torch.device(device), lambda maps: features.append(maps.half().cpu()))
    features.clear()  # of the images it was tried on
    generator = torch.Generator(device).manual_seed(source.seed * 100_003 + index + 1)
    order = torch.randperm(len(split.labels), generator=generator, device=device).cpu()
    images, labels = split.images[order], split.labels[order]
    size = BATCH if device == "cpu" else GPU_BATCH
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        samples = images[part].to(device)
        if index != CLEAN:
            shown = augmented(values(samples), data, source.augmentation, generator)
            shown, mixed = mix(shown, labels[part].to(device), source.augmentation, generator)
            samples = shown if data.sequences else (shown * 255).round().to(torch.uint8)
            images[part], labels[part] = samples.cpu(), mixed.cpu()
        logits.append(teacher(values(samples), order[part]).half().cpu())
    answers = {"logits": torch.cat(logits)} | ({"features": torch.cat(features)} if features else {})
    for name, tensor in answers.items():
        if not bool(tensor.isfinite().all()):
            models = ", ".join(source.teacher.models)
            raise InputError(f"teacher {models} gives {name} that are not finite as float16: scale them down")
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    draft.mkdir(parents=True)
    try:
        for name, tensor in {"images": images, "labels": labels, **answers}.items():
            np.save(draft / f"{name}.npy", tensor.numpy())
        draft.rename(path)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not path.is_dir():  # another worker may have been faster
            raise


def _key(made_of: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
