import shutil

import pytest
import torch
from deployed import (
    SANITIZERS,
    STREAMER,
    draws,
    float_difference,
    int8_differences,
    quantised,
    random_samples,
    random_student,
    run_c,
)
from hypothesis import given
from hypothesis import strategies as st

from kd.deploy.c_code import float_code, int8_code
from kd.deploy.calibration import Rounding, calibrate
from kd.deploy.integers import Quantisation, multiplier
from kd.deploy.interpret import run
from kd.deploy.lower import lower
from kd.deploy.reference import answer
from kd.deploy.tables import scaled, sigmoid, tanh
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.liquid import CellKind, LiquidScan, Readout
from space.blocks.mlp import Dense, Mixer, Patches

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
ONE_OF_EACH = list(draws(range(1, 2)))


@needs_gcc
@pytest.mark.parametrize("architecture", ONE_OF_EACH[::3], ids=lambda a: f"{a.family} {a.digest}")
def test_int8_c_is_the_reference_to_the_bit(architecture: Architecture) -> None:
    assert int8_differences(architecture) == 0


@needs_gcc
@pytest.mark.parametrize("architecture", ONE_OF_EACH[1::9], ids=lambda a: f"{a.family} {a.digest}")
def test_it_stays_within_its_arrays_and_types(architecture: Architecture) -> None:
    assert int8_differences(architecture, SANITIZERS) == 0


@pytest.mark.parametrize("architecture", ONE_OF_EACH, ids=lambda a: f"{a.family} {a.digest}")
def test_integers_are_near_the_float_student_and_nearer_its_rounded_twin(architecture: Architecture) -> None:
    student, samples = random_student(architecture), random_samples(architecture.shape, 64)
    program = quantised(architecture, samples)
    _, logits = answer(program, samples)
    found = (logits.double() - program.logits.zero) * program.logits.scale
    expected = student.logits(samples).double()
    with torch.no_grad():
        floating = lower(student)
        twin = run(floating, samples, Rounding(calibration=calibrate(floating, samples))).double()
    spread = float(expected.std())
    assert float((found - expected).square().mean().sqrt()) < 0.15 * spread
    assert float((found - twin).square().mean().sqrt()) < 0.1 * spread


@needs_gcc
def test_a_tied_mixer_adds_its_biases_every_time() -> None:
    blocks = (Patches(side=4, width=6), Mixer(token_width=5, channel_width=4, repeats=2, activation="prelu"))
    assert int8_differences(Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=blocks)) == 0


@needs_gcc
@pytest.mark.parametrize("cell", ["cfc", "ltc"])
def test_a_student_may_be_a_cell_alone(cell: CellKind) -> None:
    architecture = Architecture(
        family="liquid", shape=(12, 3), classes=10, blocks=(LiquidScan(cell=cell, hidden=4, readout="mean"),)
    )
    assert float_difference(architecture) <= 1e-4
    assert int8_differences(architecture) == 0


@needs_gcc
def test_a_compiler_leaves_no_loop_of_a_scan_out() -> None:
    scan = LiquidScan(cell="ltc", hidden=7)  # gcc 12 did at -O2, with this number of states
    architecture = Architecture(family="liquid", shape=(40, 1), classes=10, blocks=(scan,))
    assert int8_differences(architecture, ("-O2",)) == 0


@needs_gcc
@pytest.mark.parametrize("cell", ["cfc", "ltc"])
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_a_scan_is_fed_step_by_step(cell: CellKind, readout: Readout) -> None:
    scan = LiquidScan(cell=cell, hidden=4, readout=readout, unfolds=2)
    assert_fed_alike((scan, Dense(width=5)))


@needs_gcc
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_convolution_over_time_is_fed_step_by_step(kernel: int, stride: int) -> None:
    first = Convolution(width=6, kernel=kernel, stride=stride, activation="relu")
    assert_fed_alike((first, ResidualConvolution(kernel=3, repeats=2), GlobalAverage()))
    assert_fed_alike((Convolution(width=1, kernel=kernel, stride=stride), Dense(width=5)))  # moves down in the arena


def assert_fed_alike(blocks: tuple[AnyBlock, ...]) -> None:
    """A student of sequences of 12 steps answers the same, fed whole or step by step, in both arithmetics."""
    architecture = Architecture(family="hybrid", shape=(12, 3), classes=10, blocks=blocks)
    samples = random_samples(architecture.shape, 8)
    for code in (
        int8_code(quantised(architecture, samples), samples[:1], "a student"),
        float_code(lower(random_student(architecture)), samples[:1], "a student"),
    ):
        whole, fed = run_c(code, samples), run_c(code, samples, ("-O2", "-DFEATURES=3"), STREAMER)
        assert (whole["answer"] == fed["answer"]).all()
        assert (whole["logits"] == fed["logits"]).all()


def test_others_are_not() -> None:
    for scan in (LiquidScan(cell="cfc", hidden=4, both_directions=True), LiquidScan(cell="cfc", hidden=4)):
        shape = (12, 3) if scan.both_directions else (1, 8, 8)
        architecture = Architecture(family="liquid", shape=shape, classes=10, blocks=(scan,))
        code = float_code(lower(random_student(architecture)), random_samples(shape, 1), "a student")
        assert "wunderkind_step" not in code.header + code.source


def test_pixels_of_one_channel_are_kept_exactly() -> None:
    architecture = ONE_OF_EACH[0]
    assert architecture.shape == (1, 28, 28)
    program = quantised(architecture, random_samples(architecture.shape, 8))
    every = torch.arange(256)
    made = (scaled(every, program.input.multiplier[0], program.input.shift) + program.input.bias[0]).tolist()
    assert made == [value - 128 for value in range(256)]


@given(st.floats(1e-6, 1e6))
def test_a_multiplier_is_its_factor(factor: float) -> None:
    number, shift = multiplier(factor)
    assert number < 2**31
    assert abs(number / 2**shift - factor) <= 1e-6 * factor


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_zero_is_kept_exactly_and_limits_within_a_step(one: float, other: float) -> None:
    low, high = sorted((one, other))
    kept = Quantisation.of(low, high)
    assert -128 <= kept.zero <= 127
    assert (127 - kept.zero) * kept.scale >= max(high, 0) - kept.scale
    assert (-128 - kept.zero) * kept.scale <= min(low, 0) + kept.scale


@pytest.mark.parametrize("fraction", [4, 8, 12, 20])
def test_tables_are_near_what_they_stand_for(fraction: int) -> None:
    x = torch.linspace(-12, 12, 10_001, dtype=torch.float64)
    number = torch.round(x * 2**fraction).long()
    exact = number.double() / 2**fraction
    assert (sigmoid(number, fraction) / 2**15 - torch.sigmoid(exact)).abs().max() < 5e-4
    assert (tanh(number, fraction) / 2**15 - torch.tanh(exact)).abs().max() < 1e-3
