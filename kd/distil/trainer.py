"""A student in training: its first weights, the steps between two moments of one epoch, its state."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from kd.data.dataset import DataSet
from kd.distil.recording import Recording
from kd.distil.step import Step, in_batches, new_feed
from kd.distil.views import View
from kd.losses.features import Guide
from kd.optim import checkpoint as checkpoints
from kd.optim.muon import optimizer_of
from kd.optim.recipe import Recipe
from kd.students.evaluate import normalisation
from space.architecture import Architecture
from space.network import Student, build

BETWEEN = 32
"""Steps after which the memory of a large view is given back."""

Steps = Callable[[View, Tensor, Tensor], Tensor]
"""Makes steps on batches, in an order, by their numbers (see `Recording.__call__`); returns the sum of the losses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trainer:
    """A student in training: its `step`, and `steps`, which makes many of them.

    `seed` is of the first weights and the order of batches.
    """

    step: Step
    steps: Steps
    seed: int

    def train(self, view: View, begin: float, end: float) -> float:
        """Train on the part of a view between two moments of one epoch; returns the mean loss."""
        step = self.step
        step.student.train()
        epoch, batches = math.floor(begin), in_batches(view, _size(step.recipe, view))
        count = len(batches.labels)
        first, last = (max(1, round((moment - epoch) * count)) if moment > epoch else 0 for moment in (begin, end))
        if first == last:
            return 0.0
        # a view lies shuffled, so batches are slices; only their order changes when a view is used again
        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed * 10_007 + epoch))
        done = int(step.averaged.n_averaged)
        numbers = step.numbers([epoch + (index + 1) / count for index in range(first, last)], done)
        total = self.steps(batches, order[first:last], numbers)
        step.averaged.n_averaged += last - first
        return float(total) / (last - first)

    @property
    def reason(self) -> str | None:
        """Why steps on a GPU are not recorded; None where they are, and on a CPU."""
        return self.steps.reason if isinstance(self.steps, Recording) else None

    def state(self) -> bytes:
        """Everything needed to go on training."""
        return checkpoints.pack(self.step.student, self.step.averaged, self.step.optimizer, guide=self.step.guide)


def new_trainer(
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    data: DataSet,
    example: View,
    device: torch.device,
    state: bytes | None = None,
) -> Trainer:
    """A student with its first weights, drawn by `seed`, or where another trainer's `state` was.

    `example` is any view that it will be trained on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = build(architecture)
        student.to(device).to(memory_format=torch.channels_last)
        averaged = AveragedModel(student)  # a copy, which has no guide
        guide = _guide(student, architecture, recipe, example, device)
    others = guide.parameters() if guide is not None else ()
    optimizer = optimizer_of(student, recipe.optimizer, recipe.learning_rate, recipe.weight_decay, others)
    if state is not None:
        checkpoints.unpack(state, student, averaged, optimizer, guide=guide)
    step = Step(
        student=student.train(),
        averaged=averaged,
        guide=guide,
        optimizer=optimizer,
        recipe=recipe,
        normalisation=normalisation(data, device),
    )
    steps: Steps = _called(step)
    if device.type == "cuda":
        steps = Recording(step, in_batches(example, _size(recipe, example)), len(step.numbers([0], 0)[0]))
    return Trainer(step=step, steps=steps, seed=seed)


def _size(recipe: Recipe, view: View) -> int:
    return min(recipe.batch, len(view.labels))


def _called(step: Step) -> Steps:
    """Steps that are called one by one, on batches where they lie."""

    def steps(batches: View, order: Tensor, numbers: Tensor) -> Tensor:
        feed = new_feed(batches, order, numbers)
        for index in range(len(order)):
            step(feed)
            if index % BETWEEN == 0:
                batches.release()
        batches.release()
        return feed.total

    return steps


def _guide(
    student: Student, architecture: Architecture, recipe: Recipe, example: View, device: torch.device
) -> Guide | None:
    if recipe.feature_loss == "none":
        return None
    return Guide(student, architecture, recipe.feature_loss, example.features).to(device)
