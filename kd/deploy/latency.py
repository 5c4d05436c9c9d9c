"""How long an exported student takes on this machine."""

import statistics
import time

from torch import Tensor

from kd.data.dataset import values
from kd.deploy.onnx import OUTPUT, open_session

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
