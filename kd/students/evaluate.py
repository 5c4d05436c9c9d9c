"""Accuracy and loss of a student on a split."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kd.data.dataset import DataSet, Split, layout


def normalise(images: Tensor, data: DataSet, device: torch.device) -> Tensor:
    """A split's samples as a student takes them: zero mean, unit deviation, images channels last."""
    unit = 1 if data.sequences else 255
    mean, std = data.moments(device)
    copy = images.to(device).to(torch.float32, copy=True, memory_format=layout(images))
    return copy.sub_(unit * mean).div_(unit * std)


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
