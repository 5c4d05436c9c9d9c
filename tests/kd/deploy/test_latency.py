"""Latency on this machine, before training and after."""

import torch

from kd.deploy.latency import architecture_latency_ms
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.mlp import Dense


def test_a_student_of_a_hundred_times_the_work_is_slower() -> None:
    small = Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Dense(width=4),))
    blocks = (Convolution(width=16, kernel=5), ResidualConvolution(repeats=4), GlobalAverage())
    large = Architecture(family="cnn", shape=(1, 28, 28), classes=10, blocks=blocks)
    before = torch.random.get_rng_state()
    fast, slow = architecture_latency_ms(small), architecture_latency_ms(large)
    assert 0 < fast < slow / 3
    assert torch.equal(torch.random.get_rng_state(), before)
