"""How long an exported student takes on this machine."""

import statistics
import time

import onnxruntime
from torch import Tensor

from kd.data.dataset import values
from kd.students.onnx import OUTPUT

WARM_UP, RUNS = 20, 200


def latency_ms(content: bytes, samples: Tensor) -> float:
    """Median milliseconds of one sample in onnxruntime, one thread.

    Args:
        content: an ONNX model as `kd.students.onnx` writes it.
        samples: at least one of a `kd.data.dataset.Split`'s samples.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    asked = [{name: values(samples[index : index + 1]).numpy()} for index in range(min(len(samples), 20))]
    taken = []
    for run in range(WARM_UP + RUNS):
        begun = time.perf_counter_ns()
        session.run([OUTPUT], asked[run % len(asked)])
        taken.append(time.perf_counter_ns() - begun)
    return statistics.median(taken[WARM_UP:]) / 1e6
