"""From an architecture to a network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from space.architecture import Architecture
from space.blocks.base import as_maps, size


class Student(nn.Module):
    """The network of an architecture.

    Input: normalised images (batch, channels, height, width) or sequences (batch, time, features), as the
    architecture's shape says; output: logits (batch, classes).

    >>> from space.blocks.mlp import Dense
    >>> architecture = Architecture(family="mlp", shape=(1, 8, 8), classes=3, blocks=(Dense(width=4),))
    >>> Student(architecture).eval()(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 3])
    """

    def __init__(self, architecture: Architecture) -> None:
        """Build an untrained student."""
        super().__init__()
        self.architecture = architecture
        *shapes, last = architecture.shapes()
        self.blocks = nn.Sequential(
            *(block.build(shape) for block, shape in zip(architecture.blocks, shapes, strict=True))
        )
        self.classifier = nn.Linear(size(last), architecture.classes)

    def forward(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch {self.architecture.classes}"]:
        """Return logits."""
        logits: Tensor = self.classifier(self.blocks(as_maps(inputs)).flatten(1))
        return logits

    def matrices(self) -> dict[Tensor, torch.Size]:
        """The weight matrices of all blocks, without the classifier, and the shapes in which each is a matrix."""
        found: dict[Tensor, torch.Size] = {}
        for block, module in zip(self.architecture.blocks, self.blocks, strict=True):
            found |= block.matrices(module)
        return found


def build(architecture: Architecture) -> Student:
    """An untrained student; its weights come from PyTorch's global generator.

    >>> import torch
    >>> from space.architecture import Architecture
    >>> from space.blocks.mlp import Dense
    >>> student = build(Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Dense(width=8),)))
    >>> student(torch.zeros(4, 1, 28, 28)).shape
    torch.Size([4, 10])
    """
    return Student(architecture)
