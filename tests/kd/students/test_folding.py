"""Folded students compute what they did, and hold exactly the deployed parameters, whatever the blocks."""

import random

import pytest
import torch

from kd.students.folding import folded
from space.architecture import FAMILIES, Architecture
from space.network import Student, build
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial
from studies.shipped import find, names

SHAPES = ((1, 28, 28), (3, 32, 32), (2, 9, 14), (12, 3), (40, 1))


def used(architecture: Architecture, seed: int) -> Student:
    """A student with weights, scales, shifts and statistics off their initial values."""
    torch.manual_seed(seed)
    module = build(architecture)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for _ in range(2):
            module(torch.randn(16, *architecture.shape))
    return module.eval()


@torch.no_grad()
def check(architecture: Architecture, seed: int) -> None:
    module = used(architecture, seed)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    small = folded(module)
    assert sum(p.numel() for p in small.parameters()) == architecture.cost().deployed_parameters
    assert not list(small.buffers())
    samples = torch.randn(8, *architecture.shape)
    expected = module(samples)
    limit = 1e-5 * max(1.0, float(expected.abs().max()))
    assert float((small(samples) - expected).abs().max()) < limit
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_draws_are_equal_and_hold_what_is_deployed(family: str, shape: tuple[int, ...]) -> None:
    for seed in range(6):
        preset = {"family": family, "size": 1_500.0}
        check(suggest(RandomTrial(random.Random(100 * sum(shape) + seed), preset), Domain(), shape, 10), seed)


@pytest.mark.parametrize("name", names())
def test_shipped_students_are_equal_and_hold_what_is_deployed(name: str) -> None:
    check(find(name), 0)
