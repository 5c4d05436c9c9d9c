"""Scores and loss of a student on a split."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kd.data.dataset import DataSet, Split, layout
from kd.students.scores import Scores


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
    model.eval()
    answers: list[Tensor] = []
    loss = 0.0
    for images, labels in zip(split.images.split(500), split.labels.split(500), strict=True):
        logits = model(normalise(images, data, device)).float().cpu()
        answers.append(logits.argmax(1))
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    scores = Scores.of(split.labels, torch.cat(answers), data.classes)
    return Evaluation(scores=scores, loss=loss / len(split.labels))
