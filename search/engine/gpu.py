"""What workers on GPUs need: one daemon under which their kernels run side by side, and turns on several GPUs.

Without NVIDIA's multi-process service (MPS) a GPU runs the kernels of one process at a time; those of a small student
fill a few hundredths of it.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from search.engine.worker import TURNS, VISIBLE
from space.errors import first_line

CONTROL = "nvidia-cuda-mps-control"
SECONDS = 20.0
"""To wait for the daemon's answer."""


@contextmanager
def gpu_environment(mps: bool, note: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Environment of worker processes on this machine's GPUs; with `mps` under a daemon of their own while this lasts.

    A daemon that runs is used as it is. `note` is told in one line when there is one that does not start.
    """
    environment = {TURNS: os.environ.get(VISIBLE) or ",".join(map(str, range(torch.cuda.device_count())))}
    if not mps or shutil.which(CONTROL) is None or _asked("get_server_list", os.environ):
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="mps-") as folder:
        places = {f"CUDA_MPS_{name}_DIRECTORY": str(Path(folder) / name.lower()) for name in ("PIPE", "LOG")}
        for place in places.values():
            Path(place).mkdir()
        daemon = os.environ | places
        if reason := _started(daemon):
            note(f"{CONTROL} does not start ({reason}): workers take turns on the GPU, which is slower")
            yield environment
            return
        try:
            yield environment | places
        finally:
            _asked("quit", daemon)


def _started(environment: Mapping[str, str]) -> str:
    """Start the daemon; why it does not, "" where it does."""
    try:
        done = subprocess.run(
            [CONTROL, "-d"], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return first_line(error)
    return "" if done.returncode == 0 else first_line(done.stdout + done.stderr) or f"exit code {done.returncode}"


def _asked(command: str, environment: Mapping[str, str]) -> bool:
    """Whether a daemon takes a command."""
    try:
        done = subprocess.run(
            [CONTROL], input=f"{command}\n", env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
