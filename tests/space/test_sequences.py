"""Inputs (time, features), and families that cannot take an input."""

import random

import pytest
import torch
from torch.nn import functional

from space.architecture import FAMILIES, Architecture, Family, from_json
from space.blocks.base import as_maps, maps
from space.blocks.cells import ClosedFormCell
from space.blocks.convolution import Convolution
from space.blocks.liquid import LiquidScan
from space.blocks.mlp import Bilinear, Matrix
from space.errors import InputError
from space.network import Student, build
from space.sampling.domain import Domain, check_feasible, suggest, supported_families
from space.sampling.families import unsupported_reason
from space.sampling.random_trial import RandomTrial

SEQUENCE = (40, 3)


def sequence(*blocks: object) -> Architecture:
    return Architecture(family="hybrid", shape=SEQUENCE, classes=4, blocks=blocks)  # type: ignore[arg-type]


def body(student: Student, inputs: torch.Tensor) -> torch.Tensor:
    """What the first block makes of sequences (batch, time, features)."""
    out: torch.Tensor = student.blocks[0](as_maps(inputs))
    return out


def test_a_convolution_on_a_sequence_is_one_over_time() -> None:
    student = build(sequence(Convolution(width=5, kernel=5, stride=2, activation="silu"))).eval()
    convolution, norm = student.blocks[0][0], student.blocks[0][1]  # type: ignore[index]
    assert convolution.weight.shape == (5, 3, 5, 1)
    x = torch.randn(2, *SEQUENCE)
    temporal = functional.conv1d(x.transpose(1, 2), convolution.weight[..., 0], stride=2, padding=2)
    expected = functional.silu(norm(temporal[..., None]))
    torch.testing.assert_close(body(student, x), expected)
    torch.testing.assert_close(student(x), student.classifier(expected.flatten(1)))


def test_a_scan_of_rows_reads_time_steps() -> None:
    student = build(sequence(LiquidScan(cell="cfc", hidden=6)))
    cell = student.blocks[0].cells[0]  # type: ignore[index]
    assert isinstance(cell, ClosedFormCell)
    x = torch.randn(2, *SEQUENCE)
    torch.testing.assert_close(body(student, x).flatten(1), cell(x))


def test_row_column_layers_mix_time_steps_and_features() -> None:
    student = build(sequence(Matrix(), Bilinear(rows=6, columns=2, activation="silu"))).eval()
    layer = student.blocks[1]
    x = torch.randn(2, *SEQUENCE)
    y = layer.row_factor @ x @ layer.column_factor  # type: ignore[operator]
    expected = functional.silu(layer.norm(y.flatten(1)))  # type: ignore[operator]
    torch.testing.assert_close(student(x), student.classifier(expected))


def test_a_sequence_is_not_the_image_it_is_laid_out_as() -> None:
    blocks = (Convolution(width=5),)
    image = Architecture(family="cnn", shape=maps(SEQUENCE), classes=4, blocks=blocks)
    assert image.cost() == sequence(*blocks).cost()
    assert image.digest != sequence(*blocks).digest
    assert from_json(sequence(*blocks).to_json()) == sequence(*blocks)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_students_for_sequences_of_all_sizes(family: Family) -> None:
    generator = random.Random(0)
    sizes = [
        suggest(RandomTrial(generator, {"family": family}), Domain(), (100, 6), 10).cost().parameters
        for _ in range(200)
    ]
    assert sum(size < 10_000 for size in sizes) >= 0.4 * len(sizes)
    for low, high in ((300, 1_000), (1_000, 3_000), (3_000, 10_000)):
        assert sum(low <= size < high for size in sizes) >= 0.15 * len(sizes), (low, high)


def test_families_that_cannot_take_an_input_say_why() -> None:
    assert [unsupported_reason(family, (1, 28, 28)) for family in FAMILIES] == [None] * len(FAMILIES)
    assert [unsupported_reason(family, (30, 2)) for family in FAMILIES] == [None] * len(FAMILIES)
    assert unsupported_reason("mlp", (1, 8)) is None
    assert unsupported_reason("liquid", (1, 8)) == "liquid needs at least 4 time steps, inputs have 1"
    assert unsupported_reason("cnn", (8, 3, 2)) == "cnn needs at least 4 positions along a side, inputs have 3"
    assert supported_families(Domain(), (1, 8)) == ("mlp",)


def test_only_families_that_fit_are_drawn() -> None:
    generator = random.Random(0)
    assert {suggest(RandomTrial(generator), Domain(), (3, 8), 4).family for _ in range(50)} == {"mlp"}


def test_a_space_without_a_family_that_fits_is_refused() -> None:
    domain = Domain(families=("cnn", "liquid"))
    with pytest.raises(InputError, match=r"cnn needs .* inputs have 1; liquid needs .*: add mlp") as caught:
        check_feasible(domain, (1, 8), 4)
    assert "\n" not in str(caught.value)
    lines = check_feasible(Domain(families=("cnn", "mlp")), (1, 8), 4)
    assert lines == ["left out: cnn needs at least 4 time steps, inputs have 1"]


def test_batches_of_one_in_evaluation() -> None:
    student = build(sequence(Convolution(width=5), LiquidScan(cell="ltc", hidden=3))).eval()
    x = torch.randn(5, *SEQUENCE)
    torch.testing.assert_close(student(x)[:1], student(x[:1]), rtol=1e-4, atol=1e-5)
