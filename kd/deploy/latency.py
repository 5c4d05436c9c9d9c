"""How long an exported student takes on this machine."""

import statistics
import time

import torch
from torch import Tensor

from kd.data.dataset import values
from kd.deploy.onnx import OUTPUT, onnx_content, open_session
from kd.students.file import TrainedStudent
from space.architecture import Architecture
from space.network import build

WARM_UP, RUNS = 20, 200


def latency_ms(content: bytes, samples: Tensor) -> float:
    """Median milliseconds of one sample in onnxruntime, one thread.

    Args:
        content: an ONNX model as `kd.deploy.onnx` writes it.
        samples: at least one of a `kd.data.dataset.Split`'s samples.
    """
    session = open_session(content)
    name = session.get_inputs()[0].name
    asked = [{name: values(samples[index : index + 1]).numpy()} for index in range(min(len(samples), 20))]
    taken = []
    for run in range(WARM_UP + RUNS):
        begun = time.perf_counter_ns()
        session.run([OUTPUT], asked[run % len(asked)])
        taken.append(time.perf_counter_ns() - begun)
    return statistics.median(taken[WARM_UP:]) / 1e6


def architecture_latency_ms(architecture: Architecture) -> float:
    """The same of a student before it is trained, which weights make no slower or faster; its export takes seconds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(architecture).eval()
    parameters = architecture.cost().parameters
    student = TrainedStudent(
        module=module, architecture=architecture, mean=(0.0,), std=(1.0,), data="", parameters=parameters
    )
    return latency_ms(onnx_content(student), torch.full((1, *architecture.shape), 0.5))
