"""Kernels clipped to their maps: no weight that only ever meets padding, and no output changed."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from space.architecture import FAMILIES, AnyBlock, Architecture, Family
from space.blocks.base import Block
from space.blocks.convolution import Convolution, ResidualConvolution, convolve, reach, strided, taps
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable
from space.blocks.liquid import LiquidConvolution
from space.network import build
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial

sides, kernels, strides = st.integers(1, 12), st.sampled_from((1, 3, 5, 7, 9)), st.integers(1, 3)


@given(sides, kernels, strides)
def test_the_reach_covers_exactly_the_offsets_that_meet_an_input(side: int, kernel: int, stride: int) -> None:
    met = {
        offset
        for centre in range(0, side, stride)
        for offset in range(-(kernel // 2), kernel // 2 + 1)
        if 0 <= centre + offset < side
    }
    before, after = reach(side, kernel, stride)
    assert met == set(range(-before, after + 1))


@given(sides, sides, kernels, strides)
def test_a_clipped_kernel_computes_what_the_whole_kernel_does(
    height: int, width: int, kernel: int, stride: int
) -> None:
    shape = (2, height, width)
    clipped = convolve(shape, 3, kernel, stride)
    assert clipped.weight[0, 0].numel() == taps(shape, kernel, stride)
    (top, bottom), (left, right) = (reach(side, kernel, stride) for side in (height, width))
    half = kernel // 2
    whole = functional.pad(clipped.weight, (half - left, half - right, half - top, half - bottom))
    x = torch.randn(2, *shape)
    expected = functional.conv2d(x, whole, stride=stride, padding=half)
    assert clipped(x).shape[1:] == expected.shape[1:] == strided(shape, 3, stride)
    torch.testing.assert_close(clipped(x), expected, rtol=1e-4, atol=1e-5)


ROUNDING = 1e-11
"""Below it a sum of gradients of order 1 counts as zero."""


def unused(module: nn.Module, shape: tuple[int, ...], batches: int = 4) -> list[str]:
    """Names of parameters with a weight whose gradient is nothing but rounding on each of several random batches."""
    module = module.double()  # rounding leaves 1e-16 of the sum behind, a weight in use far more
    seen = {name: torch.zeros_like(parameter) for name, parameter in module.named_parameters()}
    for _ in range(batches):
        output = module(torch.randn(8, *shape, dtype=torch.float64))
        module.zero_grad()
        # a random linear loss: nothing cancels
        (output * torch.randn_like(output)).sum().backward()
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                seen[name] += parameter.grad.abs()
    return [name for name, gradient in seen.items() if bool((gradient < ROUNDING).any())]


def smooth(blocks: tuple[AnyBlock, ...]) -> tuple[AnyBlock, ...]:
    """The same blocks with an activation that is never flat: a gradient of zero then means a dead weight."""
    return tuple(
        replace(block, activation="silu") if hasattr(block, "activation") else block  # type: ignore[arg-type]
        for block in blocks
    )


@settings(max_examples=150)
@given(
    st.sampled_from(
        (
            Convolution(width=3, kernel=7, stride=2),
            Convolution(width=2, kernel=5, stride=3),
            ResidualConvolution(kernel=7),
            Separable(width=3, kernel=7, stride=2),
            ResidualSeparable(kernel=5, repeats=2),
            InvertedResidual(kernel=7, expansion=3),
            LiquidConvolution(kernel=5),
        )
    ),
    st.tuples(st.integers(1, 3), sides, sides),
)
def test_every_weight_of_a_convolution_is_used(block: Block, shape: tuple[int, int, int]) -> None:
    module = smooth((block,))[0].build(shape)  # type: ignore[arg-type]
    assert block.cost(shape).parameters == sum(p.numel() for p in module.parameters())
    assert unused(module, shape) == []


@settings(max_examples=100)
@given(
    st.sampled_from(FAMILIES),
    st.integers(0, 2**32 - 1),
    st.sampled_from(((1, 28, 28), (3, 32, 32), (2, 9, 20), (1, 4, 3), (2, 1, 7), (3, 5, 5), (40, 3), (7, 1))),
)
def test_every_weight_of_a_draw_is_used(family: Family, seed: int, shape: tuple[int, ...]) -> None:
    trial = RandomTrial(random.Random(seed), {"family": family, "size": 1_500.0})
    drawn = suggest(trial, Domain(), shape, 10)
    torch.manual_seed(seed)
    assert unused(build(replace(drawn, blocks=smooth(drawn.blocks))), shape) == [], drawn.to_json()


@pytest.mark.parametrize("block", [Convolution(width=3, kernel=9), ResidualConvolution(kernel=9)])
def test_kernels_clipped_to_the_same_size_share_a_digest(block: Convolution | ResidualConvolution) -> None:
    def digest(kernel: int, shape: tuple[int, int, int]) -> str:
        blocks = (replace(block, kernel=kernel),)
        return Architecture(family="cnn", shape=shape, classes=3, blocks=blocks).digest

    assert digest(7, (2, 4, 3)) == digest(9, (2, 4, 3)) != digest(5, (2, 4, 3))
    assert digest(7, (2, 5, 5)) != digest(9, (2, 5, 5))
