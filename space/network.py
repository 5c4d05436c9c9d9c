"""From an architecture to a network."""

from torch import Tensor, nn

from space.architecture import Architecture
from space.blocks.base import as_maps, size


class Student(nn.Module):
    """The network of an architecture.

    Input: normalised images (batch, channels, height, width) or sequences (batch, time, features), as the
    architecture's shape says; output: logits (batch, classes).
    """

    def __init__(self, architecture: Architecture) -> None:
        """Build an untrained student."""
        super().__init__()
        *shapes, last = architecture.shapes()
        self.blocks = nn.Sequential(
            *(block.build(shape) for block, shape in zip(architecture.blocks, shapes, strict=True))
        )
        self.classifier = nn.Linear(size(last), architecture.classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        logits: Tensor = self.classifier(self.blocks(as_maps(inputs)).flatten(1))
        return logits


def build(architecture: Architecture) -> Student:
    """An untrained student; its weights come from PyTorch's global generator."""
    return Student(architecture)
