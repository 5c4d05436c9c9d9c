"""A trained student as one safetensors file: weights, architecture, normalisation."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kd.data.dataset import DataSet, per_channel
from kd.files import write_whole
from space.architecture import Architecture, from_json
from space.blocks.base import maps
from space.errors import InputError
from space.network import Student, build

STATISTICS = ("running_mean", "running_var")
"""Last parts of the names of batch-norm buffers: stored, but nothing that is trained."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedStudent:
    """A student from a file, in evaluation mode.

    `mean` and `std`, one value a channel, normalise pixels in 0..1 or sequences; `data` is the digest of the data set
    it learnt from, `parameters` the number of trained values among the stored tensors.
    """

    module: Student
    architecture: Architecture
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: str
    parameters: int


class Deployed(nn.Module):
    """A student that takes `kd.data.dataset.values`, pixels in 0..1 or sequences, and gives logits (n, classes)."""

    mean: Tensor
    std: Tensor

    def __init__(self, student: TrainedStudent) -> None:
        """Put the student's normalisation in front of it."""
        super().__init__()
        self.module = student.module
        shape = student.architecture.shape
        self.register_buffer("mean", per_channel(student.mean, shape))
        self.register_buffer("std", per_channel(student.std, shape))

    def forward(self, samples: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.module((samples - self.mean) / self.std)
        return logits


def save_student(path: Path, weights: Mapping[str, Tensor], architecture: Architecture, data: DataSet) -> None:
    """Write a student, whole or not at all.

    Args:
        path: the file, replaced if it exists.
        weights: a student's state dict, as `kd.optim.checkpoint.averaged_weights` gives it; stored as float32, without
            counters.
        architecture: what the weights belong to.
        data: the data set it was trained on.
    """
    tensors = {
        name: tensor.detach().to("cpu", torch.float32).contiguous().clone()
        for name, tensor in weights.items()
        if tensor.is_floating_point()
    }
    about = {"architecture": architecture.to_dict(), "mean": data.mean, "std": data.std, "data": data.digest}
    # one entry, because safetensors writes entries in random order: the same student is the same bytes
    write_whole(path, save(tensors, {"student": json.dumps(about)}))


def load_student(path: Path) -> TrainedStudent:
    """Read a student that `save_student` wrote; raises InputError for any other file."""
    if not path.is_file():
        raise InputError(f"no student at {path}: check the path")
    try:
        with safe_open(path, framework="pt") as archive:
            about = json.loads((archive.metadata() or {})["student"])
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        architecture = from_json(json.dumps(about["architecture"]))
        mean, std, data = tuple(about["mean"]), tuple(about["std"]), str(about["data"])
        with torch.random.fork_rng(devices=[]):
            module = build(architecture)
        counters = {n: t for n, t in module.state_dict().items() if not t.is_floating_point()}
        module.load_state_dict(tensors | counters)
        _check_values(tensors, mean, std, maps(architecture.shape)[0])
    except KeyError as error:
        raise _foreign(path, f"it lacks {error.args[0]}") from error
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise _foreign(path, " ".join(str(error).split())[:200]) from error
    trained = (tensor for name, tensor in tensors.items() if name.rpartition(".")[2] not in STATISTICS)
    return TrainedStudent(
        module=module.to(memory_format=torch.channels_last).eval(),
        architecture=architecture,
        mean=mean,
        std=std,
        data=data,
        parameters=sum(tensor.numel() for tensor in trained),
    )


def _check_values(
    tensors: Mapping[str, Tensor], mean: tuple[float, ...], std: tuple[float, ...], channels: int
) -> None:
    broken = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise ValueError(f"{broken[0]} holds values that are not finite")
    if not ({len(mean), len(std)} <= {1, channels} and all(map(math.isfinite, mean + std)) and min(std) > 0):
        raise ValueError(f"mean is {mean} and std is {std}")


def _foreign(path: Path, reason: str) -> InputError:
    return InputError(f"cannot read a student from {path} ({reason}): retrain it, or name a file wunderkind wrote")
