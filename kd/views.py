"""Views: augmented passes over the training set with the teacher's logits for exactly those pixels.

A view is written once, in an order of its own, and memory-mapped by every worker, so a batch is a slice. A mixed sample
has the label of its larger part.
"""

import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kd.augment import STILL, Augmentation, augmented
from kd.data import DataSet, DataSource, load, values
from kd.mixing import mix
from kd.teacher_source import TeacherSource, open_teacher
from space.errors import InputError

FORMAT = 2
BATCH = 64
"""Images a forward pass of the teacher; its widest activations then stay in a CPU's second-level cache."""

CLEAN = -1
"""The index of the view without augmentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSource:
    """What a family of views is made from, and the `folder` that holds them."""

    folder: Path
    data: DataSource
    teacher: TeacherSource
    augmentation: Augmentation
    seed: int = 0


def view_source(
    cache: Path, data: DataSet, teacher: TeacherSource, augmentation: Augmentation, seed: int = 0
) -> ViewSource:
    """The views of a loaded data set; their folder under `cache` is named after all that determines their content.

    Raises:
        InputError: for a file of logits as teacher of augmented samples, and a teacher's file that is not there.
    """
    if teacher.stored and augmentation != STILL:
        raise InputError(
            f"teacher {', '.join(teacher.models)} answers for samples as they are: "
            "set recipe.augmentation=none and retrain.recipe.augmentation=none, "
            "or assistants.recipe.augmentation=none where it teaches an assistant"
        )
    made_of = {
        "format": FORMAT,
        "data": data.digest,
        "teacher": teacher.fingerprint(),
        "augmentation": augmentation.settings(),
        "seed": seed,
    }
    return ViewSource(
        folder=cache / _key(made_of), data=data.source, teacher=teacher.resolved(), augmentation=augmentation, seed=seed
    )


def assistant_views(source: ViewSource, assistant: Path, augmentation: Augmentation) -> ViewSource:
    """Views of the same data with the answers of an assistant that learns, or has learnt, from `source`.

    Args:
        source: the views it learns from.
        assistant: its file, still to be written, in a folder named after all that determines it.
        augmentation: what these views are made with.
    """
    made_of = {"format": FORMAT, "assistant": assistant.parent.name, "augmentation": augmentation.settings()}
    return replace(
        source,
        folder=source.folder.parent / _key(made_of),
        teacher=TeacherSource(models=(str(assistant),)),
        augmentation=augmentation,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One pass: images (or sequences) and labels as in `kd.data.Split`, shuffled, float16 logits (n, classes)."""

    images: Tensor
    labels: Tensor
    logits: Tensor


def open_view(folder: Path, index: int) -> View:
    """Memory-map a view that `make_view` wrote."""
    path = folder / _name(index)
    # copy-on-write: nothing is copied and the file cannot be changed, yet torch sees a writable array
    parts = (torch.from_numpy(np.load(path / f"{part}.npy", mmap_mode="c")) for part in ("images", "labels", "logits"))
    images, labels, logits = parts
    return View(images=images, labels=labels, logits=logits)


def missing(source: ViewSource, count: int, clean: bool) -> list[int]:
    """Indices of the views among the first `count`, and the clean one if asked for, that are still to be made."""
    wanted = [*range(count), CLEAN] if clean else [*range(count)]
    return [index for index in wanted if not (source.folder / _name(index)).is_dir()]


def make_view(source: ViewSource, index: int, device: str) -> None:
    """Write one view, whole or not at all; does nothing if it exists. Raises InputError for logits out of range."""
    folder = source.folder
    if (folder / _name(index)).is_dir():
        return
    data = load(source.data)
    teacher = open_teacher(source.teacher, data, torch.device(device))
    generator = torch.Generator(device).manual_seed(source.seed * 100_003 + index + 1)
    order = torch.randperm(len(data.train.labels), generator=generator, device=device).cpu()
    images, labels = data.train.images[order], data.train.labels[order]
    logits: list[Tensor] = []
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        samples = images[part].to(device)
        if index != CLEAN:
            shown = augmented(values(samples), data, source.augmentation, generator)
            shown, mixed = mix(shown, labels[part].to(device), source.augmentation, generator)
            samples = shown if data.sequences else (shown * 255).round().to(torch.uint8)
            images[part], labels[part] = samples.cpu(), mixed.cpu()
        logits.append(teacher(values(samples), order[part]).half().cpu())
    answers = torch.cat(logits)
    if not bool(answers.isfinite().all()):
        raise InputError(f"teacher {', '.join(source.teacher.models)} gives logits that are not finite as float16")
    draft = folder / f".{_name(index)}-{uuid.uuid4().hex}"
    draft.mkdir(parents=True)
    try:
        np.save(draft / "images.npy", images.numpy())
        np.save(draft / "labels.npy", labels.numpy())
        np.save(draft / "logits.npy", answers.numpy())
        draft.rename(folder / _name(index))
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not (folder / _name(index)).is_dir():  # another worker may have been faster
            raise


def _key(made_of: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def _name(index: int) -> str:
    return "clean" if index == CLEAN else f"{index:03d}"
