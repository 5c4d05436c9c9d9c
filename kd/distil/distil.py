"""One call that distils one student, for Python users: no study, no worker process."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from kd.data.augmentation import default_policy
from kd.data.dataset import DataSet
from kd.device import pick
from kd.distil.train import RungTask, train_rung
from kd.distil.views import make_view, missing, view_source
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import Recipe
from kd.students.file import TrainedStudent, trained_student
from kd.teachers.check import measured_teachers
from kd.teachers.network import shipped
from kd.teachers.source import TeacherSource
from space.architecture import Architecture
from space.errors import InputError

Teacher = TeacherSource | str | nn.Module | tuple[nn.Module, TeacherSource] | None


def distil(
    student: Architecture,
    data: DataSet,
    recipe: Recipe | None = None,
    *,
    teacher: Teacher = None,
    seed: int = 0,
    cache: Path | None = None,
    device: str = "auto",
) -> TrainedStudent:
    """Train one student from a teacher for `recipe.epochs`, in this process; the test split is not touched.

    Args:
        student: what to train.
        data: the training split is learnt from, the validation split is evaluated on.
        recipe: how; None for `default_recipe(data)`.
        teacher: a source, or the name or file of one model; a network that takes pixels in 0..1, or sequences as they
            are, and gives logits, or with it a source whose settings say what it takes and gives; None for the shipped
            teacher of the data set.
        seed: of the first weights and the order of batches.
        cache: folder to keep the views in, for other students; None for a temporary one.
        device: auto, cpu or cuda.

    Raises:
        InputError: for a student that does not fit the data, what `open_teacher` refuses, a teacher that is no better
            than chance unless `TeacherSource.check` is off, and a loss that is no number.

    >>> from kd.data.dataset import load
    >>> from space.blocks.mlp import Bilinear
    >>> data, blocks = load("mnist").first(512), (Bilinear(rows=8, columns=8),)
    >>> architecture = Architecture(family="mlp", shape=data.shape, classes=data.classes, blocks=blocks)
    >>> student = distil(architecture, data, Recipe(epochs=2, views=1, batch=32))
    >>> student.parameters == architecture.cost().parameters
    True
    """
    check_fit(student, data)
    recipe, place = recipe or default_recipe(data), pick(device)
    source, module = _named(teacher, data)
    with _folder(cache) as folder, torch.random.fork_rng(devices=[]):  # networks draw first weights that files replace
        measured = measured_teachers(source, data, place, module)
        views = view_source(folder, data, source, recipe.augmentation, fingerprint=measured.fingerprint)
        for family, index in missing(views, recipe):
            make_view(family, index, place, data, module)
        task = RungTask(
            architecture=student, recipe=recipe, seed=seed, start=0, stop=recipe.epochs, views=views, device=place
        )
        result = train_rung(task, data=data)
    if result.failure:
        raise InputError(f"{result.failure}: lower recipe.learning_rate")
    trained = trained_student(averaged_weights(result.checkpoint), student, data)
    return replace(trained, curve=result.curve)


def default_recipe(data: DataSet) -> Recipe:
    """Twenty epochs on a cosine schedule, the last two fifths unaugmented, with the augmentation of the data set."""
    return Recipe(schedule="cosine", epochs=20, warmup=0.05, unaugmented=0.4, augmentation=default_policy(data.name))


def check_fit(architecture: Architecture, data: DataSet) -> None:
    """Raise InputError when an architecture does not fit the data."""
    if (architecture.shape, architecture.classes) != (data.shape, data.classes):
        raise InputError(
            f"{architecture.digest} takes {architecture.shape} inputs of {architecture.classes} classes, {data.name} "
            f"has {data.shape} inputs of {data.classes}: choose an architecture that fits"
        )


def _named(teacher: Teacher, data: DataSet) -> tuple[TeacherSource, nn.Module | None]:
    """The source that names a teacher, and the network itself where it is one."""
    settings = TeacherSource()
    if isinstance(teacher, tuple):
        teacher, settings = teacher
    if isinstance(teacher, nn.Module):
        return replace(settings, models=(type(teacher).__qualname__,), weights=()), teacher
    if isinstance(teacher, str):
        teacher = TeacherSource(models=(teacher,))
    return teacher or _shipped(data), None


def _shipped(data: DataSet) -> TeacherSource:
    if not shipped(data.name).is_file():
        raise InputError(f"no teacher is shipped for {data.name}: train one with wunderkind teach, or give yours")
    return TeacherSource(models=(data.name,))


@contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="wunderkind-") as folder:
        yield Path(folder)
