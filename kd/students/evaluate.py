"""Scores and loss of a student on a split."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kd.data.dataset import DataSet, Split, layout
from kd.students.scores import Scores

PART = 500
"""Samples that are evaluated at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalisation:
    """Takes a split's samples to what a student takes: zero mean, unit deviation, images channels last.

    `mean` and `std` are those of the samples as they lie in memory, on the device where it computes.
    """

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Normalised samples, a copy."""
        copy = images.to(self.mean.device).to(torch.float32, copy=True, memory_format=layout(images))
        return copy.sub_(self.mean).div_(self.std)


def normalisation(data: DataSet, device: torch.device) -> Normalisation:
    """The normalisation of a data set's samples."""
    unit = 1 if data.sequences else 255
    mean, std = data.moments(device)
    return Normalisation(mean=unit * mean, std=unit * std)


def normalise(images: Tensor, data: DataSet, device: torch.device) -> Tensor:
    """A split's samples as a student takes them: zero mean, unit deviation, images channels last."""
    return normalisation(data, device)(images)


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take the statistics of batch norm anew: means over `batches`, as PyTorch's `update_bn` takes them.

    That one asks the device for a count in every layer and batch.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
    for count, batch in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 / count
        model(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores on a split, and cross-entropy [nats]."""

    scores: Scores
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of samples answered right."""
        return self.scores.accuracy


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, data: DataSet, device: torch.device) -> Evaluation:
    """Evaluate a model on a split; the device is waited for once, at the end."""
    parts, labels = logits_of(model, split, data, device), split.labels.to(device).split(PART)
    losses = [functional.cross_entropy(*part, reduction="sum") for part in zip(parts, labels, strict=True)]
    answers = torch.cat([logits.argmax(1) for logits in parts]).cpu()
    scores = Scores.of(split.labels.cpu(), answers, data.classes)
    return Evaluation(scores=scores, loss=sum(torch.stack(losses).tolist()) / len(split.labels))


@torch.no_grad()
def logits_of(model: nn.Module, split: Split, data: DataSet, device: torch.device) -> list[Tensor]:
    """Logits of a model for a split, float32 on the device, in parts of `PART` samples."""
    model.eval()
    normalised = normalisation(data, device)
    found = []
    for images in split.images.split(PART):
        found.append(model(normalised(images)).float())
        split.release()
    return found
