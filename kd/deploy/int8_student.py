"""From a trained student to its quantised twin: calibrated, fine-tuned if that costs too much, measured."""

from dataclasses import dataclass
from pathlib import Path

import torch

from kd.data.dataset import DataSet, DataSource, load_once
from kd.deploy.calibration import Calibration
from kd.deploy.export import calibrated
from kd.deploy.finetune import can_be_tuned, fine_tune, twin_accuracy
from kd.deploy.int8_file import Int8Scores, save_int8
from kd.deploy.lower import lower
from kd.deploy.program import Program
from kd.deploy.quantize import quantize
from kd.deploy.reference import answer
from kd.distil.views import UNAUGMENTED, ViewSource, open_view, view_of
from kd.files import is_sound
from kd.optim.recipe import Recipe
from kd.students.file import load_student
from kd.students.scores import Scores

TOLERATED = 0.0005
"""Share of the validation samples that may be lost before a student is fine-tuned."""
PASSES = 3
"""Passes of fine-tuning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Task:
    """Quantisation of the student in the file `weights`, to `target`; it may learn from `views` as its `recipe` did."""

    weights: Path
    target: Path
    data: DataSource
    views: ViewSource
    recipe: Recipe


def quantise_student(task: Int8Task) -> Int8Scores:
    """Quantise a student, write its file, and measure it on the test split: the one reading, in integers.

    Where rounding loses more than `TOLERATED` on validation samples, it is fine-tuned, and the better of both is kept.
    """
    torch.set_num_threads(1)
    data, student = load_once(task.data), load_student(task.weights)
    program = lower(student)
    floating = twin_accuracy(program, None, data)
    program, calibration = calibrated(program, data.train.images)
    rounded, passes = twin_accuracy(program, calibration, data), 0
    if rounded < floating - TOLERATED and can_be_tuned(program):
        tuned, limits = _tuned(program, calibration, task, data)
        if (found := twin_accuracy(tuned, limits, data)) > rounded:
            program, calibration, passes, rounded = tuned, limits, PASSES, found
    answers, _ = answer(quantize(program, calibration), data.test.images)
    test = Scores.of(data.test.labels, answers, data.classes)
    scores = Int8Scores(test=test, validation=rounded, tuned=passes)
    save_int8(task.target, program, calibration, student.architecture, scores)
    return scores


def _tuned(program: Program, calibration: Calibration, task: Int8Task, data: DataSet) -> tuple[Program, Calibration]:
    """The program after fine-tuning on the views of the last epochs, or on what is left of them."""
    last = int(task.recipe.epochs)
    wanted = [view_of(task.views, task.recipe, epoch) for epoch in range(max(0, last - PASSES), last)]
    wanted = [view for view in wanted if is_sound(view[0].view(view[1]))]
    if not wanted and is_sound(task.views.view(UNAUGMENTED)):
        wanted = [(task.views, UNAUGMENTED)]
    views = [open_view(*view) for view in wanted]
    if not views:
        return program, calibration
    tuned = fine_tune(program, calibration, views, task.recipe)
    return calibrated(tuned, data.train.images)
