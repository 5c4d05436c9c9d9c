"""The rung task: one pure function that trains a student from a checkpoint to the next."""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch

from kd.data.dataset import DataSet, equal_parts, load_once
from kd.distil.resident import memory_of, resident_split, resident_view
from kd.distil.trainer import Trainer, new_trainer
from kd.distil.views import View, ViewSource, view_of
from kd.optim.recipe import Recipe
from kd.students.curve import Epoch
from kd.students.evaluate import calibrate, evaluate
from space.architecture import Architecture

CALIBRATION = 4_096
"""Training images that batch-norm statistics of averaged weights are recomputed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungTask:
    """Training of one student from epoch `start` to epoch `stop`; fractions are rounded to whole batches.

    `seed` is of the initial weights and the order of batches. The `views` must have been made. The student is
    evaluated at `stop` and after every whole epoch before.
    """

    architecture: Architecture
    recipe: Recipe
    seed: int
    start: float
    stop: float
    views: ViewSource
    device: str = "cpu"

    @property
    def stretches(self) -> list[tuple[float, float]]:
        """Parts of `start`..`stop` that lie within one epoch each."""
        whole = range(math.floor(self.start) + 1, math.ceil(self.stop))
        return list(pairwise([self.start, *map(float, whole), self.stop]))

    def view(self, epoch: int) -> View:
        """The view of an epoch, counted from 0, on the device or where it lies on the disk."""
        device = torch.device(self.device)
        return resident_view(*view_of(self.views, self.recipe, epoch), device, memory_of(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class RungResult:
    """What a rung task returns: its part of the learning curve and the state to go on from.

    `failure` says why training ended early (then `checkpoint` is empty), None when it did not; `unrecorded` why the
    steps on a GPU were launched kernel by kernel, which is slow, None where they were replayed and on a CPU.
    """

    curve: tuple[Epoch, ...]
    checkpoint: bytes
    seconds: float
    failure: str | None = None
    unrecorded: str | None = None


def train_rung(task: RungTask, checkpoint: bytes | None = None, data: DataSet | None = None) -> RungResult:
    """Train a student; on a CPU the same inputs give the same bits.

    Args:
        task: what to train, and how far.
        checkpoint: what the task that ended at `task.start` returned; None to start from epoch 0.
        data: the data set of the views; loaded unless it is given.
    """
    started = time.perf_counter()
    device, data = torch.device(task.device), data or load_once(task.views.data)
    curve: list[Epoch] = []
    with _settings(device):
        trainer = new_trainer(task.architecture, task.recipe, task.seed, data, task.view(0), device, checkpoint)
        for begin, end in task.stretches:
            point = _train_stretch(trainer, data, task.view(math.floor(begin)), begin, end)
            if failure := _failure(point):
                seconds = time.perf_counter() - started
                return RungResult(curve=tuple(curve), checkpoint=b"", seconds=seconds, failure=failure)
            curve.append(point)
        state = trainer.state()
    seconds = time.perf_counter() - started
    return RungResult(curve=tuple(curve), checkpoint=state, seconds=seconds, unrecorded=trainer.reason)


def _train_stretch(trainer: Trainer, data: DataSet, view: View, begin: float, end: float) -> Epoch:
    """Train within one epoch, then evaluate the averaged weights."""
    began = time.perf_counter()
    loss, averaged, normalised = trainer.train(view, begin, end), trainer.step.averaged, trainer.step.normalisation
    calibrate(averaged, map(normalised, equal_parts(view.images[:CALIBRATION], 512)))
    device = normalised.mean.device
    found = evaluate(averaged, resident_split(data.validation, device), data, device)
    return Epoch(
        epoch=end,
        train_loss=loss,
        validation_accuracy=found.accuracy,
        validation_loss=found.loss,
        seconds=time.perf_counter() - began,
        balanced_accuracy=found.scores.balanced_accuracy,
        macro_f1=found.scores.macro_f1,
        recalls=found.scores.recalls,
    )


def _failure(point: Epoch) -> str | None:
    if math.isfinite(point.train_loss) and math.isfinite(point.validation_loss):
        return None
    epoch = math.ceil(point.epoch)
    return f"loss is {point.train_loss}, on validation samples {point.validation_loss}, in epoch {epoch}"


@contextmanager
def _settings(device: torch.device) -> Iterator[None]:
    """One thread on a CPU, so that sums round the same way everywhere; on a GPU without warnings about its graphs."""
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            if device.type == "cpu":
                torch.set_num_threads(1)
            else:
                # what autograd says of the stream of a recording, and of its threads' first use of the GPU, is harmless
                harmless = "The AccumulateGrad node's stream|Attempting to run cuBLAS"
                warnings.filterwarnings("ignore", harmless, UserWarning)
            yield
    finally:
        torch.set_num_threads(threads)
