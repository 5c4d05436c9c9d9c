"""One step of training, as tensor arithmetic: on a CPU it is called, on a GPU recorded once and replayed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from kd.distil.views import View
from kd.losses import logits as losses
from kd.losses.features import Guide
from kd.optim.muon import Muon
from kd.optim.recipe import Recipe
from kd.students.evaluate import Normalisation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feed:
    """What steps read and where they are, all on their device, so that no step asks the host for anything.

    `batches` is a view whose samples lie in batches, (batches, size, ...); `order`, int64 (steps,), says which one each
    step takes; `numbers`, float32 (steps, numbers), are those of `Step.numbers`. `cursor`, int64 (1,), is the step to
    be made, `total` the sum of the losses so far.
    """

    batches: View
    order: Tensor
    numbers: Tensor
    cursor: Tensor
    total: Tensor

    def next(self) -> tuple[View, Sequence[Tensor]]:
        """Samples and numbers of the step to be made; indexing with a tensor of no dimension would wait for a GPU."""
        at = self.order.index_select(0, self.cursor)
        batch = self.batches.map(lambda part: part.index_select(0, at)[0])
        return batch, self.numbers.index_select(0, self.cursor)[0].unbind()


def new_feed(batches: View, order: Tensor, numbers: Tensor) -> Feed:
    """A feed at its first step."""
    device = order.device
    cursor, total = torch.zeros(1, dtype=torch.int64, device=device), torch.zeros((), device=device)
    return Feed(batches=batches, order=order, numbers=numbers, cursor=cursor, total=total)


def in_batches(view: View, size: int) -> View:
    """A view whose samples lie in whole batches, (batches, size, ...); nothing is copied, and a rest is left out."""
    count = len(view.labels) // size
    return view.map(lambda part: part[: count * size].unflatten(0, (count, size)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """A student in training and all that a step of it needs, on its device.

    `averaged` is the exponential moving average of its weights, which is what is evaluated and kept; `guide` computes
    the feature loss, None without one.
    """

    student: nn.Module
    averaged: AveragedModel
    guide: Guide | None
    optimizer: Muon
    recipe: Recipe
    normalisation: Normalisation

    def __call__(self, feed: Feed) -> None:
        """Make the step that the feed is at."""
        batch, (weight, *sizes) = feed.next()
        loss = self.loss(batch)
        trained = self.optimizer.trained
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        self.optimizer.update({p: g for p, g in zip(trained, gradients, strict=True) if g is not None}, sizes)
        _average(list(self.averaged.parameters()), list(self.student.parameters()), weight)
        feed.total.add_(loss.detach())
        feed.cursor.add_(1)

    def loss(self, batch: View) -> Tensor:
        """Loss of the student, a scalar, on some samples of a view."""
        output = self.student(self.normalisation(batch.images))
        loss = losses.total(output, batch.logits.float(), batch.labels, self.recipe)
        if self.guide is not None and batch.features is not None:
            loss = loss + self.recipe.feature_weight * self.guide(batch.features.float())
        return loss

    def numbers(self, epochs: Sequence[float], done: int) -> Tensor:
        """What steps that end after so many `epochs` need to know, float32 (steps, numbers), `done` steps before them.

        Of each the weight that the student has in its average, then the optimizer's. The weight falls with the number
        of steps, so that the average is useful from the first epoch on.
        """
        rows = []
        for step, epoch in enumerate(epochs, start=done):
            kept = min(self.recipe.ema, (1 + step) / (10 + step)) if step else 0.0
            rows.append([1 - kept, *self.optimizer.numbers(self.recipe.learning_rate_at(epoch), step + 1)])
        return torch.tensor(rows, dtype=torch.float64).float()

    def changed(self) -> list[Tensor]:
        """All tensors that a step changes, the feed's excepted."""
        modules = [self.student, self.averaged, *([self.guide] if self.guide is not None else [])]
        tensors = [tensor for module in modules for tensor in module.state_dict().values()]
        return [*tensors, *(tensor for state in self.optimizer.state.values() for tensor in state.values())]


@torch.no_grad()
def _average(averaged: list[Tensor], current: list[Tensor], weight: Tensor) -> None:
    if weight.device.type != "cpu":  # three kernels in all instead of one a tensor
        gaps = torch._foreach_sub(current, averaged)
        torch._foreach_mul_(gaps, weight)
        torch._foreach_add_(averaged, gaps)
    else:
        torch._foreach_lerp_(averaged, current, [weight] * len(averaged))
