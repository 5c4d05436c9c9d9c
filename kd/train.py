"""Training a student: one pure function from a checkpoint to the next."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, update_bn

from kd import checkpoint as checkpoints
from kd.data import DataSet, DataSource, Split, load
from kd.loss import distillation
from kd.recipe import Recipe
from kd.views import CLEAN, View, ViewSource, open_view
from space.architecture import Architecture
from space.student import build

CALIBRATION = 4_096
"""Training images that batch-norm statistics of averaged weights are recomputed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One point of a learning curve; `validation_loss` is the cross-entropy in nats."""

    epoch: int
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


@lru_cache(maxsize=1)
def _data(source: DataSource) -> DataSet:
    # a worker process runs hundreds of tasks on the same data
    return load(source)


def train_rung(
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    start: int,
    stop: int,
    checkpoint: bytes | None,
    source: ViewSource,
    device: str = "cpu",
) -> RungResult:
    """Train from epoch `start` to epoch `stop`; on one CPU thread the same inputs give the same bits.

    Args:
        architecture: the student.
        recipe: how to train it.
        seed: of the initial weights and the order of batches.
        start: epochs already trained; 0 takes no checkpoint.
        stop: epochs trained at the end.
        checkpoint: what the task that ended at `start` returned.
        source: the views, which must have been made.
        device: where to train.
    """
    started = time.perf_counter()
    if device == "cpu":
        torch.set_num_threads(1)
    place, folder, data = torch.device(device), source.folder, _data(source.data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = build(architecture)
    model.to(place).to(memory_format=torch.channels_last)
    averaged = AveragedModel(model, multi_avg_fn=_average(recipe.ema))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, foreach=True
    )
    if checkpoint is not None:
        checkpoints.unpack(checkpoint, model, averaged, optimizer)
    curve: list[Epoch] = []
    for epoch in range(start, stop):
        began = time.perf_counter()
        view = open_view(folder, CLEAN if epoch >= recipe.epochs - recipe.clean_epochs else epoch % recipe.views)
        loss = _train_epoch(model, averaged, optimizer, recipe, epoch, seed, view, data, place)
        if not math.isfinite(loss):
            reason = f"loss is {loss} in epoch {epoch + 1}"
            return RungResult(curve=tuple(curve), checkpoint=b"", seconds=time.perf_counter() - started, failure=reason)
        calibration = (normalise(images, data, place) for images in view.images[:CALIBRATION].split(512))
        update_bn(calibration, averaged)
        accuracy, validation_loss = evaluate(averaged, data.validation, data, place)
        curve.append(
            Epoch(
                epoch=epoch + 1,
                train_loss=loss,
                validation_accuracy=accuracy,
                validation_loss=validation_loss,
                seconds=time.perf_counter() - began,
            )
        )
    content = checkpoints.pack(model, averaged, optimizer)
    return RungResult(curve=tuple(curve), checkpoint=content, seconds=time.perf_counter() - started)


def normalise(images: Tensor, data: DataSet, device: torch.device) -> Tensor:
    """uint8 (batch, channels, height, width) to what a student takes: zero mean, unit deviation, channels last."""
    pixels = images.to(device).to(torch.float32, memory_format=torch.channels_last)
    return pixels.sub_(255 * data.mean).div_(255 * data.std)


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, data: DataSet, device: torch.device) -> tuple[float, float]:
    """Accuracy (share) and cross-entropy (nats) of a model on a split."""
    model.eval()
    right, loss = 0, 0.0
    for images, labels in zip(split.images.split(500), split.labels.split(500), strict=True):
        logits = model(normalise(images, data, device)).float().cpu()
        right += int((logits.argmax(1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    return right / len(split.labels), loss / len(split.labels)


def _train_epoch(
    model: nn.Module,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    epoch: int,
    seed: int,
    view: View,
    data: DataSet,
    device: torch.device,
) -> float:
    """One pass over a view; returns the mean training loss."""
    model.train()
    size = min(recipe.batch, len(view.labels))
    batches = len(view.labels) // size
    total = torch.zeros((), device=device)
    for step, (images, labels, logits) in enumerate(_batches(view, size, seed * 10_007 + epoch)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(epoch + (step + 1) / batches)
        output = model(normalise(images, data, device))
        loss = distillation(output, logits.to(device).float(), labels.to(device), recipe)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        averaged.update_parameters(model)
        total += loss.detach()
    return float(total) / batches


def _batches(view: View, batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    # a view lies shuffled, so batches are slices; only their order changes when a view is used again
    starts = torch.randperm(len(view.labels) // batch, generator=torch.Generator().manual_seed(seed)) * batch
    for start in starts.tolist():
        part = slice(start, start + batch)
        yield view.images[part], view.labels[part], view.logits[part]


def _average(ceiling: float) -> Any:
    # the decay rises with the number of steps, so that the average is useful from the first epoch on
    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor) -> None:
        steps = int(count)
        decay = min(ceiling, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)

    return update
