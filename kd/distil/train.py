"""Training a student: one pure function from a checkpoint to the next."""

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from kd.data.dataset import DataSet, equal_parts, load_once
from kd.distil.views import View, ViewSource, open_view, view_of
from kd.losses import logits as losses
from kd.losses.features import Guide
from kd.optim import checkpoint as checkpoints
from kd.optim.muon import optimizer_of
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate, normalise
from space.architecture import Architecture
from space.network import build

CALIBRATION = 4_096
"""Training images that batch-norm statistics of averaged weights are recomputed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One point of a learning curve: after `epoch` passes over the training set, which may be a fraction.

    `train_loss` is the mean since the point before, `validation_loss` the cross-entropy in nats. Where views hold
    validation samples, the latter two are no measure of what has been learnt.
    """

    epoch: float
    train_loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RungResult:
    """What a rung task returns: its part of the learning curve and the state to go on from.

    `failure` says why training ended early (then `checkpoint` is empty), None when it did not.
    """

    curve: tuple[Epoch, ...]
    checkpoint: bytes
    seconds: float
    failure: str | None = None


def train_rung(
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    start: float,
    stop: float,
    checkpoint: bytes | None,
    source: ViewSource,
    device: str = "cpu",
) -> RungResult:
    """Train from epoch `start` to epoch `stop`; on one CPU thread the same inputs give the same bits.

    Args:
        architecture: the student.
        recipe: how to train it.
        seed: of the initial weights and the order of batches.
        start: epochs already trained; 0 takes no checkpoint. Fractions are rounded to whole batches.
        stop: epochs trained at the end; the student is evaluated there and after every whole epoch before.
        checkpoint: what the task that ended at `start` returned.
        source: the views, which must have been made.
        device: where to train.
    """
    started = time.perf_counter()
    if device == "cpu":
        torch.set_num_threads(1)
    place, data = torch.device(device), load_once(source.data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(architecture)
        model.to(place).to(memory_format=torch.channels_last)
        averaged = AveragedModel(model, multi_avg_fn=_average(recipe.ema))  # a copy, which has no guide
        guide, first = None, view_of(source, recipe, 0)
        if recipe.feature_loss != "none":
            guide = Guide(model, architecture, recipe.feature_loss, open_view(*first).features).to(place)
        elif place.type == "cuda":
            _record(model, normalise(open_view(*first).images[: recipe.batch], data, place))
    others = guide.parameters() if guide is not None else ()
    optimizer = optimizer_of(model, recipe.optimizer, recipe.learning_rate, recipe.weight_decay, others)
    if checkpoint is not None:
        checkpoints.unpack(checkpoint, model, averaged, optimizer, guide=guide)
    curve: list[Epoch] = []
    for begin, end in _stretches(start, stop):
        began = time.perf_counter()
        epoch = math.floor(begin)
        view = open_view(*view_of(source, recipe, epoch)).to(place)
        loss = train_stretch(model, averaged, guide, optimizer, recipe, begin, end, seed, view, data, place)
        calibration = (normalise(images, data, place) for images in equal_parts(view.images[:CALIBRATION], 512))
        update_bn(calibration, averaged)
        accuracy, validation_loss = evaluate(averaged, data.validation, data, place)
        if not (math.isfinite(loss) and math.isfinite(validation_loss)):
            reason = f"loss is {loss}, on validation samples {validation_loss}, in epoch {epoch + 1}"
            return RungResult(curve=tuple(curve), checkpoint=b"", seconds=time.perf_counter() - started, failure=reason)
        curve.append(
            Epoch(
                epoch=end,
                train_loss=loss,
                validation_accuracy=accuracy,
                validation_loss=validation_loss,
                seconds=time.perf_counter() - began,
            )
        )
    content = checkpoints.pack(model, averaged, optimizer, guide=guide)
    return RungResult(curve=tuple(curve), checkpoint=content, seconds=time.perf_counter() - started)


def _record(model: nn.Module, batch: Tensor) -> None:
    """Make a model replay its training passes over batches like this one from CUDA graphs.

    They are hundreds of kernels of microseconds, which take longer to launch than to run.
    """
    # what autograd says of the stream of the recording, and of its threads' first use of the GPU, is harmless
    warnings.filterwarnings("ignore", "The AccumulateGrad node's stream|Attempting to run cuBLAS", UserWarning)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.cuda.make_graphed_callables(model.train(), (batch,))
    model.load_state_dict(state)  # batch-norm statistics have seen the warm-up


def _stretches(start: float, stop: float) -> list[tuple[float, float]]:
    """Parts of start..stop that lie within one epoch each."""
    bounds = [start, *(float(epoch) for epoch in range(math.floor(start) + 1, math.ceil(stop))), stop]
    return list(pairwise(bounds))


def train_stretch(
    model: nn.Module,
    averaged: AveragedModel,
    guide: Guide | None,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    begin: float,
    end: float,
    seed: int,
    view: View,
    data: DataSet,
    device: torch.device,
) -> float:
    """Train on the part of a view, on the device, between two moments of one epoch; returns the mean loss."""
    model.train()
    epoch, size = math.floor(begin), min(recipe.batch, len(view.labels))
    batches = len(view.labels) // size
    first, last = (max(1, round((moment - epoch) * batches)) if moment > epoch else 0 for moment in (begin, end))
    # a view lies shuffled, so batches are slices; only their order changes when a view is used again
    order = torch.randperm(batches, generator=torch.Generator().manual_seed(seed * 10_007 + epoch)).tolist()
    total = torch.zeros((), device=device)
    for step in range(first, last):
        part = slice(order[step] * size, (order[step] + 1) * size)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(epoch + (step + 1) / batches)
        output = model(normalise(view.images[part], data, device))
        logits, labels = view.logits[part].float(), view.labels[part]
        loss = losses.total(output, logits, labels, recipe)
        if guide is not None and view.features is not None:
            loss = loss + recipe.feature_weight * guide(view.features[part].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        averaged.update_parameters(model)
        total += loss.detach()
    return float(total) / max(1, last - first)


def _average(ceiling: float) -> Any:
    # the decay rises with the number of steps, so that the average is useful from the first epoch on
    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor) -> None:
        steps = int(count)
        decay = min(ceiling, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)

    return update
