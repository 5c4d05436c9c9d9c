"""While tests run, a call with shapes other than those in its signature fails."""

import pytest
import torch
from jaxtyping import TypeCheckError

from kd.data.augmentation import Augmentation
from kd.data.mixup import mix
from kd.losses.features import hint
from kd.losses.logits import divergence
from kd.optim.recipe import Recipe
from space.architecture import Architecture
from space.blocks.cells import ClosedFormCell
from space.blocks.convolution import Convolution
from space.network import build


def test_losses_on_logits_want_as_many_classes_and_labels() -> None:
    logits, labels = torch.zeros(4, 10), torch.zeros(4, dtype=torch.int64)
    divergence(logits, logits, labels, Recipe())
    with pytest.raises(TypeCheckError, match="teacher"):
        divergence(logits, torch.zeros(4, 1), labels, Recipe())
    with pytest.raises(TypeCheckError, match="labels"):
        divergence(logits, logits, labels[:1], Recipe())


def test_losses_on_features_want_maps_of_one_shape() -> None:
    with pytest.raises(TypeCheckError, match="teacher"):
        hint(torch.zeros(4, 3, 2, 2), torch.zeros(4, 1, 2, 2))


def test_mixing_wants_a_label_for_every_sample() -> None:
    with pytest.raises(TypeCheckError, match="labels"):
        mix(torch.zeros(4, 1, 5, 5), torch.zeros(3, dtype=torch.int64), Augmentation(mixup=1), torch.Generator())


def test_blocks_cells_and_networks_want_a_batch() -> None:
    student = build(Architecture(family="cnn", shape=(1, 6, 6), classes=3, blocks=(Convolution(width=2),)))
    with pytest.raises(TypeCheckError, match="samples"):
        student(torch.zeros(6, 6))
    with pytest.raises(TypeCheckError, match="sequence"):
        ClosedFormCell(3, 4)(torch.zeros(5, 3))
