"""A student in training: what a step needs, and the steps between two moments of one epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kd.data.dataset import DataSet
from kd.distil.views import View
from kd.losses import logits as losses
from kd.losses.features import Guide
from kd.optim import checkpoint as checkpoints
from kd.optim.muon import optimizer_of
from kd.optim.recipe import Recipe
from kd.students.evaluate import normalise
from space.architecture import Architecture
from space.network import Student, build


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trainer:
    """A student in training, on its device, and all that a step needs.

    `averaged` is the exponential moving average of its weights, which is what is evaluated and kept; `guide` computes
    the feature loss, None without one.
    """

    student: nn.Module
    averaged: AveragedModel
    guide: Guide | None
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    seed: int
    data: DataSet
    device: torch.device

    def train(self, view: View, begin: float, end: float) -> float:
        """Train on the part of a view, on the device, between two moments of one epoch; returns the mean loss."""
        self.student.train()
        epoch, size = math.floor(begin), min(self.recipe.batch, len(view.labels))
        batches = len(view.labels) // size
        first, last = (max(1, round((moment - epoch) * batches)) if moment > epoch else 0 for moment in (begin, end))
        # a view lies shuffled, so batches are slices; only their order changes when a view is used again
        order = torch.randperm(batches, generator=torch.Generator().manual_seed(self.seed * 10_007 + epoch)).tolist()
        total = torch.zeros((), device=self.device)
        for step in range(first, last):
            batch = slice(order[step] * size, (order[step] + 1) * size)
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate_at(epoch + (step + 1) / batches)
            loss = self.loss(view, batch)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.averaged.update_parameters(self.student)
            total += loss.detach()
        return float(total) / max(1, last - first)

    def loss(self, view: View, batch: slice) -> Tensor:
        """Loss of the student, a scalar, on some samples of a view."""
        output = self.student(normalise(view.images[batch], self.data, self.device))
        loss = losses.total(output, view.logits[batch].float(), view.labels[batch], self.recipe)
        if self.guide is not None and view.features is not None:
            loss = loss + self.recipe.feature_weight * self.guide(view.features[batch].float())
        return loss

    def state(self) -> bytes:
        """Everything needed to go on training."""
        return checkpoints.pack(self.student, self.averaged, self.optimizer, guide=self.guide)

    def restore(self, state: bytes) -> None:
        """Go on from what `state` returned."""
        checkpoints.unpack(state, self.student, self.averaged, self.optimizer, guide=self.guide)


def new_trainer(
    architecture: Architecture, recipe: Recipe, seed: int, data: DataSet, example: View, device: torch.device
) -> Trainer:
    """A student with its first weights, drawn by `seed`; `example` is any view that it will be trained on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = build(architecture)
        student.to(device).to(memory_format=torch.channels_last)
        averaged = AveragedModel(student, multi_avg_fn=_average(recipe.ema))  # a copy, which has no guide
        guide = _guide(student, architecture, recipe, example, device)
        if guide is None and device.type == "cuda":
            _record(student, normalise(example.images[: recipe.batch], data, device))
    optimizer = optimizer_of(recipe, student, guide.parameters() if guide is not None else ())
    return Trainer(
        student=student,
        averaged=averaged,
        guide=guide,
        optimizer=optimizer,
        recipe=recipe,
        seed=seed,
        data=data,
        device=device,
    )


def _guide(
    student: Student, architecture: Architecture, recipe: Recipe, example: View, device: torch.device
) -> Guide | None:
    if recipe.feature_loss == "none":
        return None
    return Guide(student, architecture, recipe.feature_loss, example.features).to(device)


def _average(ceiling: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    # the decay rises with the number of steps, so that the average is useful from the first epoch on
    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        steps = int(count)
        decay = min(ceiling, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)

    return update


def _record(student: nn.Module, batch: Tensor) -> None:
    """Make a student replay its training passes over batches like this one from CUDA graphs.

    They are hundreds of kernels of microseconds, which take longer to launch than to run.
    """
    state = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    torch.cuda.make_graphed_callables(student.train(), (batch,))
    student.load_state_dict(state)  # batch-norm statistics have seen the warm-up
