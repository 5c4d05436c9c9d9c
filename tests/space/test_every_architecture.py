import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from space.architecture import FAMILIES, Architecture, Family, from_json
from space.blocks.base import maps
from space.blocks.cells import LiquidTimeConstantCell
from space.blocks.liquid import LiquidMaps
from space.describe import describe
from space.network import build
from space.sampling.domain import Domain, suggest
from space.sampling.families import unsupported_reason
from space.sampling.random_trial import RandomTrial

MNIST = (1, 28, 28)
SHAPES = (MNIST, (3, 32, 32), (2, 9, 20), (1, 4, 3), (1, 1, 7), (4, 1, 1), (40, 3), (7, 1), (1, 5))


def draw(family: Family, seed: int, shape: tuple[int, ...] = MNIST) -> Architecture:
    trial = RandomTrial(random.Random(seed), {"family": family})
    return suggest(trial, Domain(), shape, 10)


class HypothesisTrial:
    """A trial whose parameters hypothesis draws, and may shrink one by one."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def suggest_int(self, _name: str, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def suggest_float(self, _name: str, low: float, high: float, *, log: bool = False) -> float:
        if log:
            return min(high, max(low, math.exp(self.draw(st.floats(math.log(low), math.log(high))))))
        return self.draw(st.floats(low, high))

    def suggest_categorical(self, _name: str, choices: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(choices))


@st.composite
def architectures_for(draw: st.DrawFn, shapes: st.SearchStrategy[tuple[int, ...]]) -> Architecture:
    return suggest(HypothesisTrial(draw), Domain(), draw(shapes), 10)


architectures = architectures_for(st.just(MNIST))
of_any_shape = architectures_for(st.sampled_from(SHAPES))


def multiplied_by_a_matrix(one: torch.Size, other: object, *_: object, out_shape: torch.Size, **__: object) -> int:
    """FLOPs of an elementwise product: those with a weight matrix, as of LTC synapses, are a MAC an element."""
    by_matrix = isinstance(other, torch.Size) and min(len(one), len(other)) == 2 < max(len(one), len(other))
    return 2 * out_shape.numel() if by_matrix else 0


def check_costs(architecture: Architecture) -> None:
    """Parameters and MACs in closed form are those of the module."""
    module, cost = build(architecture).eval(), architecture.cost()
    assert cost.parameters == sum(p.numel() for p in module.parameters() if p.requires_grad), architecture.to_json()
    elementwise = {torch.ops.aten.mul: multiplied_by_a_matrix}
    with FlopCounterMode(display=False, custom_mapping=elementwise) as counter, torch.no_grad():
        module(torch.zeros(1, *architecture.shape))
    assert cost.macs == counter.get_total_flops() / 2, architecture.to_json()


@given(of_any_shape)
def test_costs_in_closed_form_are_those_that_pytorch_counts(architecture: Architecture) -> None:
    check_costs(architecture)


SUPPORTED = [(f, s) for f in FAMILIES for s in SHAPES if unsupported_reason(f, s) is None]


@pytest.mark.parametrize(("family", "shape"), SUPPORTED, ids=str)
def test_so_they_are_for_thousands_of_random_draws(family: Family, shape: tuple[int, ...]) -> None:
    for seed in range(60):
        check_costs(draw(family, seed, shape))


@given(of_any_shape)
def test_a_block_in_canonical_form_is_the_same_block(architecture: Architecture) -> None:
    for block, shape in zip(architecture.blocks, architecture.shapes(), strict=False):
        canonical = block.canonical(shape)
        assert canonical.canonical(shape) == canonical
        assert canonical.output(shape) == block.output(shape)
        assert canonical.cost(shape) == block.cost(shape)
        sizes = [[p.shape for p in b.build(shape).parameters()] for b in (canonical, block)]
        assert sizes[0] == sizes[1]


@given(of_any_shape)
def test_matrices_are_all_weights_but_depthwise_kernels_synapses_and_the_classifier(architecture: Architecture) -> None:
    student = build(architecture)
    found = student.matrices()
    others: set[torch.Tensor] = {
        p for m in student.modules() if isinstance(m, LiquidTimeConstantCell) for p in m.parameters()
    }
    for module in student.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            others.add(module.weight)
        if isinstance(module, LiquidMaps):
            others |= {module.reversal, module.rate}
    assert set(found) == {p for p in student.blocks.parameters() if p.ndim >= 2} - others
    assert all(weight.numel() == shape.numel() for weight, shape in found.items())


@given(of_any_shape)
def test_blocks_have_the_shapes_they_say(architecture: Architecture) -> None:
    x, module = torch.zeros(2, *maps(architecture.shape)), build(architecture).eval()
    for block, shape in zip(module.blocks, architecture.shapes()[1:], strict=True):
        x = block(x)
        assert x.shape[1:] == shape


@given(of_any_shape)
def test_a_student_learns_with_all_its_weights(architecture: Architecture) -> None:
    module = build(architecture)
    logits = module(torch.randn(4, *architecture.shape))
    assert logits.shape == (4, 10)
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    loss.backward()
    assert loss.isfinite()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@given(of_any_shape)
def test_a_batch_of_one_gets_the_logits_it_gets_in_company(architecture: Architecture) -> None:
    module, x = build(architecture).eval(), torch.randn(3, *architecture.shape)
    with torch.no_grad():
        torch.testing.assert_close(module(x[1:2]), module(x)[1:2], rtol=1e-4, atol=1e-4)


@settings(max_examples=200)
@given(of_any_shape)
def test_json_gives_the_same_architecture_back(architecture: Architecture) -> None:
    assert from_json(architecture.to_json()) == architecture


@settings(max_examples=200)
@given(of_any_shape)
def test_costs_are_positive_and_deployment_adds_nothing(architecture: Architecture) -> None:
    cost = architecture.cost()
    assert 0 < cost.deployed_parameters <= cost.parameters
    assert cost.macs > 0
    assert cost.memory_bytes > 0
    assert cost.deployed_parameters <= cost.int8_bytes


@given(architectures)
def test_layers_names_every_block_in_one_line(architecture: Architecture) -> None:
    text = describe(architecture)
    assert text.count("→") == len(architecture.blocks) - 1
    assert "\n" not in text


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_mostly_meet_the_default_budget_and_cover_all_sizes(family: Family) -> None:
    sizes = [draw(family, seed).cost().parameters for seed in range(300)]
    assert sum(size < 10_000 for size in sizes) >= 0.4 * len(sizes)
    for low, high in ((250, 500), (500, 1_000), (1_000, 2_000), (2_000, 4_000), (4_000, 10_000)):
        # even on a log scale would be 18 % an octave
        assert sum(low <= size < high for size in sizes) >= 0.05 * len(sizes), (low, high)


DEPTHWISE = {"separable", "residual_separable", "inverted_residual"}
LIQUID = {"liquid_scan", "liquid_convolution"}


def test_families_hold_their_kind() -> None:
    for seed in range(300):
        kinds = {family: {block.kind for block in draw(family, seed).blocks} for family in FAMILIES}
        assert kinds["depthwise"] & DEPTHWISE
        assert kinds["liquid"] & LIQUID
        assert not kinds["cnn"] & (DEPTHWISE | LIQUID | {"mixer", "bilinear"})
        hybrid = kinds["hybrid"]
        assert (
            hybrid & {"liquid_scan", "mixer", "bilinear"}
            or len([kind for kind in (DEPTHWISE, LIQUID, {"residual_convolution", "convolution"}) if hybrid & kind]) > 1
        ), draw("hybrid", seed).to_json()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_many_structures(family: Family) -> None:
    assert len({draw(family, seed).digest for seed in range(100)}) >= 95


@pytest.mark.parametrize("shape", [MNIST, (40, 3), (2, 6, 7)], ids=str)
def test_a_name_always_means_the_same_choice(shape: tuple[int, ...]) -> None:
    # a study refuses a parameter that changes its distribution between trials
    drawn: dict[str, object] = {}

    class Recorder(RandomTrial):
        def suggest_int(self, name: str, low: int, high: int) -> int:
            assert drawn.setdefault(name, ("int", low, high)) == ("int", low, high), name
            return super().suggest_int(name, low, high)

        def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
            assert drawn.setdefault(name, (low, high, log)) == (low, high, log), name
            return super().suggest_float(name, low, high, log=log)

        def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
            assert drawn.setdefault(name, tuple(choices)) == tuple(choices), name
            return super().suggest_categorical(name, choices)

    generator = random.Random(0)
    for _ in range(1_000):
        suggest(Recorder(generator), Domain(), shape, 10)
    assert len(drawn) > 50
