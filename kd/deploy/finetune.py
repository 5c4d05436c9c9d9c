"""Fine-tuning of a program that is rounded as int8 rounds it, from the teacher's logits (Jacob et al. 2018, section 3).

Gradients pass the rounding as if it were not there (Bengio, Léonard and Courville 2013).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from kd.data.dataset import DataSet
from kd.deploy.calibration import Calibration, Rounding
from kd.deploy.interpret import run
from kd.deploy.program import Program, has_time_constants, tensors
from kd.distil.views import View
from kd.losses import logits as losses
from kd.optim.recipe import Recipe

LEARNING_RATE = 5e-4
"""Of Adam, falling to 0 on a cosine."""


def can_be_tuned(program: Program) -> bool:
    """Whether rounding a twin in PyTorch is what int8 does."""
    return not any(map(has_time_constants, program.operations))


def fine_tune(program: Program, calibration: Calibration, views: Sequence[View], recipe: Recipe) -> Program:
    """Train a program's constants for one pass over each view; how activations are kept stays as it is."""
    trained = program.map(lambda tensor: tensor.clone().requires_grad_())
    optimizer = torch.optim.Adam([*tensors(trained.operations)], LEARNING_RATE)
    rounding = Rounding(calibration=calibration)
    starts = [(view, start) for view in views for start in _starts(view, recipe.batch)]
    for step, (view, start) in enumerate(starts):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / len(starts))) / 2
        batch = slice(start, start + min(recipe.batch, len(view.labels)))
        output = run(trained, view.images[batch], rounding)
        loss = losses.total(output, view.logits[batch].float(), view.labels[batch], recipe)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        view.release()
    return trained.map(lambda tensor: tensor.detach())


def _starts(view: View, batch: int) -> range:
    size = min(batch, len(view.labels))
    return range(0, len(view.labels) // size * size, size)


@torch.no_grad()
def twin_accuracy(program: Program, calibration: Calibration | None, data: DataSet) -> float:
    """Share of validation samples that a program gets right, rounded as int8 rounds it where there is a calibration."""
    rounding = None if calibration is None else Rounding(calibration=calibration)
    right = 0
    for samples, labels in zip(data.validation.images.split(250), data.validation.labels.split(250), strict=True):
        logits: Tensor = run(program, samples, rounding)
        right += int((logits.argmax(1) == labels).sum())
        data.validation.release()
    return right / len(data.validation.labels)
