from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from kd.optim.muon import Muon, optimizer_of, orthogonal
from kd.teachers.network import Teacher
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.depthwise import Separable, SqueezeExcite
from space.blocks.liquid import LiquidScan
from space.blocks.mlp import Bilinear, Mixer
from space.network import build


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        inputs = torch.randn(8, 6, generator=generator)
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_without_matrices_muon_is_adamw() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(6, 5), nn.PReLU(5), nn.Linear(5, 1))
    theirs = deepcopy(ours)
    descend(ours, Muon({}, ours.parameters(), 0.01, 0.1), 20)
    descend(theirs, torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1), 20)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("shape", [(16, 144), (40, 7), (12, 12), (3, 8, 28)])
def test_orthogonal_brings_singular_values_close_to_one_and_keeps_the_directions(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.mT @ orthogonal(matrix) @ v.mT
    values = found.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(found, torch.diag_embed(values), atol=1e-4, rtol=0)
    large = s > 0.05 * s.amax(-1, keepdim=True)  # tinier ones need more steps
    assert values[large].min() > 0.6
    assert values[large].max() < 1.3


def test_an_update_of_a_matrix_is_as_large_as_one_of_adamw() -> None:
    for shape in ((16, 144), (30, 10)):
        weight = nn.Parameter(torch.zeros(shape))
        weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        Muon({weight: weight.shape}, [weight], 0.1, 0).step()
        assert 0.8 < float(weight.detach().square().mean().sqrt()) / (0.1 * 0.2) < 1.2


def test_parameters_without_a_gradient_stay() -> None:
    weight, bias = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3))
    Muon({weight: weight.shape}, [weight, bias], 0.1, 0.5).step()
    assert torch.equal(weight, torch.ones(3, 4))
    assert torch.equal(bias, torch.ones(3))


def test_matrices_are_linear_maps_of_channels_rows_or_columns() -> None:
    blocks = (
        Convolution(width=4, kernel=5, stride=4),
        ResidualConvolution(repeats=2),
        Separable(width=5),
        SqueezeExcite(width=2),
        Mixer(token_width=3, channel_width=6),
        Bilinear(rows=6, columns=4, heads=2),
        LiquidScan(cell="cfc", hidden=4),
    )
    student = build(Architecture(family="hybrid", shape=(1, 28, 28), classes=10, blocks=blocks))
    shapes = sorted(map(tuple, student.matrices().values()))
    convolutions = [(4, 25), (4, 36), (5, 4)]
    mixers = [(3, 49), (49, 3), (6, 5), (5, 6)]
    others = [(2, 5), (5, 2), (5, 12, 7), (5, 7, 8), (12, 40), (12, 4)]
    assert shapes == sorted([*convolutions, *mixers, *others])


def test_synapses_of_ltc_cells_are_no_matrices() -> None:
    blocks = (Convolution(width=4, kernel=5, stride=4), GlobalAverage(), LiquidScan(cell="ltc", hidden=4))
    student = build(Architecture(family="liquid", shape=(1, 28, 28), classes=10, blocks=blocks))
    assert list(student.matrices().values()) == [(4, 25)]


def test_convolutions_of_a_teacher_are_matrices_and_its_classifier_is_none() -> None:
    teacher = Teacher((1, 28, 28), 10, [0.0], [1.0], widths=(4, 8))
    assert list(teacher.matrices().values()) == [(4, 9), (8, 36)]


@pytest.mark.parametrize("shape", [(8, 6, 1), (8, 2, 3, 1)])
def test_a_kernel_is_one_matrix(shape: tuple[int, ...]) -> None:
    gradient = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    kernel, matrix = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(8, 6))
    kernel.grad, matrix.grad = gradient.view(shape), gradient
    Muon({kernel: gradient.shape, matrix: gradient.shape}, [kernel, matrix], 0.1, 0).step()
    assert torch.equal(kernel.view(8, 6), matrix)


def kept(tensors: list[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def test_a_step_moves_every_parameter_with_a_gradient() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 1))
    before, first = kept(list(model.parameters())), next(model.parameters())
    descend(model, Muon({first: first.shape}, model.parameters(), 0.01, 0), 1)
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_muon_turns_the_matrices_of_the_blocks_and_adamw_all_else() -> None:
    student = build(
        Architecture(family="cnn", shape=(1, 8, 8), classes=3, blocks=(Convolution(width=4), GlobalAverage()))
    )
    guide = nn.Linear(4, 4)
    optimizer = optimizer_of(student, "muon", 0.01, 0.1, guide.parameters())
    turned, rest = optimizer.param_groups
    (kernel,) = student.matrices()
    assert turned["params"] == [kernel]
    everything = {*student.parameters(), *guide.parameters()}
    assert set(rest["params"]) == everything - {kernel}
    (group,) = optimizer_of(student, "adamw", 0.01, 0.1, guide.parameters()).param_groups
    assert set(group["params"]) == everything
    assert (group["lr"], group["weight_decay"]) == (turned["lr"], turned["weight_decay"]) == (0.01, 0.1)
