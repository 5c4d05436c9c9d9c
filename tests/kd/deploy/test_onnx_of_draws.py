"""Students drawn at random, for images and for sequences, export with equal output and no value too many."""

import random

import onnx
import onnxruntime
import pytest
import torch

from kd.deploy.onnx import OUTPUT, onnx_content, stored_values
from kd.students.file import Deployed, TrainedStudent
from space.architecture import FAMILIES, Family
from space.network import build
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 9, 14), (12, 3)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_draw_exports_with_equal_output_and_its_deployed_parameters(family: Family, shape: tuple[int, ...]) -> None:
    # the steps of an LTC are unrolled, and exporting them is slow: many unfolds of few steps, or few of many
    unfolds = 1 if len(shape) == 3 else 2
    preset = {"family": family, "size": 800.0, "liquid.unfolds": unfolds, "hybrid.unfolds": unfolds}
    drawn = suggest(RandomTrial(random.Random(sum(shape)), preset), Domain(), shape, 10)
    torch.manual_seed(0)
    module = build(drawn)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for _ in range(3):
            module(torch.randn(32, *shape))
    student = TrainedStudent(
        module=module.eval(), architecture=drawn, mean=(0.2,), std=(0.5,), data="", parameters=drawn.cost().parameters
    )
    content, deployed = onnx_content(student), Deployed(student).eval()
    assert stored_values(onnx.load_from_string(content)) == drawn.cost().deployed_parameters
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    name = "sequence" if len(shape) == 2 else "image"
    for batch in (1, 5):
        x = torch.rand(batch, *shape)
        (logits,) = session.run([OUTPUT], {name: x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), deployed(x), rtol=1e-4, atol=1e-5)
