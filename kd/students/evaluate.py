"""Scores and loss of a student on a split."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kd.data.dataset import DataSet, Split, layout
from kd.students.scores import Scores

PART = 500
"""Samples that are evaluated at once."""


def normalise(images: Tensor, data: DataSet, device: torch.device) -> Tensor:
    """A split's samples as a student takes them: zero mean, unit deviation, images channels last."""
    unit = 1 if data.sequences else 255
    mean, std = data.moments(device)
    copy = images.to(device).to(torch.float32, copy=True, memory_format=layout(images))
    return copy.sub_(unit * mean).div_(unit * std)


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
    """Evaluate a model on a split."""
    parts = logits_of(model, split, data, device)
    loss = 0.0
    for logits, labels in zip(parts, split.labels.split(PART), strict=True):
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    answers = torch.cat([logits.argmax(1) for logits in parts])
    return Evaluation(scores=Scores.of(split.labels, answers, data.classes), loss=loss / len(split.labels))


@torch.no_grad()
def logits_of(model: nn.Module, split: Split, data: DataSet, device: torch.device) -> list[Tensor]:
    """Logits of a model for a split, float32 on the CPU, in parts of `PART` samples."""
    model.eval()
    return [model(normalise(images, data, device)).float().cpu() for images in split.images.split(PART)]
