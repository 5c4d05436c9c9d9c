"""What a teacher answers on samples that students are judged by, and the features it sees in them."""

from dataclasses import replace

import torch
from torch import Tensor

from kd.data.dataset import DataSet, Split, values
from kd.students.reading import Answers, Reading
from kd.teachers.loading import LogitFunction, open_teacher
from kd.teachers.source import TeacherSource
from space.errors import InputError

BATCH = 64
"""Samples a forward pass, as for views."""

STAGES = ("features", "module.blocks")
"""Submodules of a teacher, and of a student that teaches, whose output goes to the classifier."""


def teacher_reading(source: TeacherSource, data: DataSet) -> Reading:
    """What a teacher, or an ensemble, answers on the test and the validation split.

    Raises:
        InputError: for stored logits, which are of training samples, and for what `open_teacher` refuses.
    """
    if source.stored:
        raise InputError("the teacher's logits are stored, of training samples alone: there are none of these")
    teacher = open_teacher(source, data, torch.device("cpu"))
    parts = {
        name: Answers.of(_logits(teacher, split), split.labels)
        for name, split in (("test", data.test), ("validation", data.validation))
    }
    return Reading(**parts)


def teacher_features(source: TeacherSource, data: DataSet, places: Tensor) -> Tensor:
    """What the classifier of the first teacher sees of validation samples, float32 (n, ...).

    Of a teacher whose inside is not known: its stage, where one is named, else its logits.
    """
    one = replace(source, models=source.models[:1], weights=source.weights[:1])
    split = Split(images=data.validation.taken(places), labels=data.validation.labels[places])
    for stage in (*STAGES, one.stage):
        maps: list[Tensor] = []
        try:
            teacher = open_teacher(replace(one, stage=stage, cells=1), data, torch.device("cpu"), maps.append)
        except InputError:
            continue
        maps.clear()  # of the samples it was tried on
        logits = _logits(teacher, split)
        return torch.cat(maps).flatten(1) if maps else logits
    raise InputError(f"teacher {one.models[0]} cannot be opened")


@torch.no_grad()
def _logits(teacher: LogitFunction, split: Split) -> Tensor:
    found = []
    for part in split.images.split(BATCH):
        found.append(teacher(values(part)).float())
        split.release()
    return torch.cat(found)
