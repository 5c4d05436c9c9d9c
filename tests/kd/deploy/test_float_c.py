import shutil

import pytest
import torch
from deployed import SANITIZERS, draws, float_difference, random_samples, random_student

from kd.deploy.arena import plan
from kd.deploy.c_code import float_code
from kd.deploy.interpret import run
from kd.deploy.lower import lower
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
ONE_OF_EACH = list(draws(range(1)))


def test_a_program_computes_what_the_student_does_with_exactly_the_deployed_values() -> None:
    for architecture in draws(range(4)):
        student, samples = random_student(architecture), random_samples(architecture.shape, 3)
        program, expected = lower(student), student.logits(samples)
        with torch.no_grad():
            found = run(program, samples)
        assert (found - expected).abs().max() <= 1e-5 * max(1, float(expected.abs().max())), architecture.to_json()
        assert program.values == architecture.cost().deployed_parameters, architecture.to_json()


@needs_gcc
@pytest.mark.parametrize("architecture", ONE_OF_EACH[::3], ids=lambda a: f"{a.family} {a.digest}")
def test_float_c_gives_the_logits_of_pytorch(architecture: Architecture) -> None:
    assert float_difference(architecture) <= 1e-4


@needs_gcc
@pytest.mark.parametrize("architecture", ONE_OF_EACH[2::9], ids=lambda a: f"{a.family} {a.digest}")
def test_it_stays_within_its_arrays(architecture: Architecture) -> None:
    assert float_difference(architecture, SANITIZERS) <= 1e-4


def test_constants_are_the_deployed_values() -> None:
    for architecture in ONE_OF_EACH:
        code = float_code(lower(random_student(architecture)), random_samples(architecture.shape, 1), "a student")
        assert code.constant_bytes == 4 * architecture.cost().deployed_parameters


def test_a_convolution_slides_over_its_input() -> None:
    blocks = (Convolution(width=4, kernel=3), ResidualConvolution(kernel=3, repeats=2), GlobalAverage())
    architecture = Architecture(family="cnn", shape=(1, 28, 28), classes=10, blocks=blocks)
    # two rows are kept of the four maps that a residual 3×3 convolution replaces
    assert plan(lower(random_student(architecture)), quantised=True).size == 4 * 28 * 28 + 2 * 28 * 4
