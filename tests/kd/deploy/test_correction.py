"""Biases are corrected: sums keep their means under rounding, and answers come nearer to those in float."""

from dataclasses import replace

import pytest
import torch
from deployed import random_samples, random_student

from kd.data.dataset import DataSet
from kd.deploy.calibration import Calibration, Rounding, calibrate
from kd.deploy.correction import corrected
from kd.deploy.interpret import run
from kd.deploy.lower import lower
from kd.deploy.program import Program, tensors
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.depthwise import InvertedResidual, ResidualSeparable, Separable, SqueezeExcite

BLOCKS: dict[str, tuple[AnyBlock, ...]] = {
    "separable": (
        Convolution(width=4, kernel=5, activation="silu"),
        Separable(width=6, stride=2),
        ResidualSeparable(repeats=3),
        GlobalAverage(),
    ),
    "inverted": (Convolution(width=4, stride=2), InvertedResidual(repeats=2), SqueezeExcite(width=2), GlobalAverage()),
    "residual": (Convolution(width=4, stride=2), ResidualConvolution(repeats=1), GlobalAverage()),
}


def coarse(calibration: Calibration, program: Program) -> Calibration:
    """Limits of activations many times too wide: int8 of few steps."""
    last = len(program.operations) - 1
    wide = {
        site: replace(kept, scale=32 * kept.scale) if 0 <= site[0] < last else kept
        for site, kept in calibration.kept.items()
    }
    return replace(calibration, kept=wide)


@torch.no_grad()
def away(program: Program, calibration: Calibration, floating: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Differences of the logits from those in float."""
    return run(program, samples, Rounding(calibration=calibration)) - floating


@pytest.mark.parametrize("name", BLOCKS)
def test_correction_takes_back_what_rounding_shifts(name: str, small_data: DataSet) -> None:
    architecture = Architecture(family="hybrid", shape=(1, 28, 28), classes=10, blocks=BLOCKS[name])
    program = lower(random_student(architecture))
    samples = small_data.train.images[:256]
    limits = coarse(calibrate(program, samples), program)
    mended = corrected(program, limits, samples)
    with torch.no_grad():
        floating = run(program, samples)
    before, after = (away(one, limits, floating, samples) for one in (program, mended))
    # but for the rounding of the logits themselves
    assert after.mean(0).abs().max() < max(0.1 * float(before.mean(0).abs().max()), 2e-3)
    assert after.square().mean() < 0.8 * before.square().mean()
    assert mended.values == program.values


def test_with_fine_steps_there_is_little_to_correct() -> None:
    architecture = Architecture(family="hybrid", shape=(1, 8, 8), classes=10, blocks=BLOCKS["residual"])
    program, samples = lower(random_student(architecture)), random_samples((1, 8, 8), 32)
    mended = corrected(program, calibrate(program, samples), samples)
    for before, after in zip(tensors(program.operations), tensors(mended.operations), strict=True):
        assert (before - after).abs().max() < 0.05 * max(1.0, float(before.abs().max()))
