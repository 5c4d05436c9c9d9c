"""What every local worker process does at its start (a Dask preload)."""

import os
import signal
from collections.abc import Mapping

from distributed import Worker

VISIBLE, TURNS = "CUDA_VISIBLE_DEVICES", "WUNDERKIND_GPUS"


def dask_setup(worker: Worker) -> None:
    """Leave Ctrl-C, which a terminal sends to workers too, to the driver; take a turn on the GPUs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if isinstance(worker.name, int):
        os.environ.update(turn(worker.name, os.environ))


def turn(number: int, environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker adds to its environment before it uses a GPU: they take turns, by number."""
    gpus = [gpu for gpu in environment.get(TURNS, "").split(",") if gpu]
    return {VISIBLE: gpus[number % len(gpus)]} if len(gpus) > 1 else {}
