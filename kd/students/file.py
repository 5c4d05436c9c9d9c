"""A trained student as one safetensors file: weights, architecture, normalisation."""

import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kd.data.dataset import DataSet, Split, per_channel, values
from kd.files import FORMAT, check_format, write_whole
from kd.students.curve import Epoch
from space.architecture import Architecture, from_json
from space.blocks.base import maps
from space.errors import InputError
from space.network import Student, build

STATISTICS = ("running_mean", "running_var")
"""Last parts of the names of batch-norm buffers: stored, but nothing that is trained."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedStudent:
    """A student in evaluation mode.

    `mean` and `std`, one value a channel, normalise pixels in 0..1 or sequences; `data` is the digest of the data set
    it learnt from, `parameters` the number of trained values among the stored tensors, `names` are those of the
    classes. `curve` is that of its training; files do not hold it.

    >>> from kd.data.dataset import load
    >>> from space.blocks.mlp import Dense
    >>> data = load("mnist").first(100)
    >>> architecture = Architecture(family="mlp", shape=(1, 28, 28), classes=10, blocks=(Dense(width=4),))
    >>> student = trained_student(build(architecture).state_dict(), architecture, data)
    >>> student.predict(data.test.images).shape
    torch.Size([100])
    >>> 0 <= student.accuracy(data.test) <= 1
    True
    """

    module: Student
    architecture: Architecture
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: str
    parameters: int
    names: tuple[str, ...] = ()
    curve: tuple[Epoch, ...] = ()

    @property
    def validation_accuracy(self) -> float | None:
        """Share of the validation samples that it got right at the end of its training, None if that is not known."""
        return self.curve[-1].validation_accuracy if self.curve else None

    @torch.no_grad()
    def logits(self, samples: Tensor | NDArray[Any]) -> Tensor:
        """Logits (n, classes), float32, for samples as a `kd.data.dataset.Split` has them, or an array of them.

        Those are uint8 images, (n, channels, height, width), or float sequences, (n, time, features); float images are
        taken for pixels in 0..1.

        Raises:
            InputError: for samples of another shape.
        """
        given, shape = torch.as_tensor(samples), self.architecture.shape
        if given.shape[1:] != shape or not len(given):
            raise InputError(f"samples are {tuple(given.shape)}, the student takes (n, {', '.join(map(str, shape))})")
        deployed = Deployed(self).eval()
        return torch.cat([deployed(values(part)) for part in given.split(500)])

    def predict(self, samples: Tensor | NDArray[Any]) -> Tensor:
        """The most likely class, int64 (n,), of samples as `logits` takes them."""
        return self.logits(samples).argmax(1)

    def class_name(self, index: int) -> str:
        """Name of a class, its number where the file has no names."""
        return self.names[index] if self.names else str(index)

    def accuracy(self, split: Split) -> float:
        """Share of a split's samples that it labels correctly."""
        return float((self.predict(split.images) == split.labels).double().mean())

    def save(self, path: Path | str) -> None:
        """Write the student as a file that `load_student` reads, whole or not at all."""
        tensors = {
            name: tensor.detach().to("cpu", torch.float32).contiguous().clone()
            for name, tensor in self.module.state_dict().items()
            if tensor.is_floating_point()
        }
        about = {
            "format": FORMAT,
            "architecture": self.architecture.to_dict(),
            "mean": self.mean,
            "std": self.std,
            "data": self.data,
            "names": self.names,
            "checksum": tensors_checksum(tensors),
        }
        # one entry, because safetensors writes entries in random order: the same student is the same bytes
        write_whole(Path(path), save(tensors, {"student": json.dumps(about)}))


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


def trained_student(weights: Mapping[str, Tensor], architecture: Architecture, data: DataSet) -> TrainedStudent:
    """A student with weights.

    Args:
        weights: a student's state dict, as `kd.optim.checkpoint.averaged_weights` gives it.
        architecture: what the weights belong to.
        data: the data set it was trained on.
    """
    return replace(_student(weights, architecture, data.mean, data.std, data.digest), names=data.names)


def save_student(path: Path, weights: Mapping[str, Tensor], architecture: Architecture, data: DataSet) -> None:
    """Write the `trained_student` of these weights to `path`, whole or not at all."""
    trained_student(weights, architecture, data).save(path)


def load_student(path: Path | str) -> TrainedStudent:
    """Read a student that `save_student` wrote; raises InputError for any other file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no student at {path}: check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read: change its permissions")
    try:
        with safe_open(path, framework="pt") as archive:
            about = json.loads((archive.metadata() or {})["student"])
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        check_format(path, about["format"])
        architecture = from_json(json.dumps(about["architecture"]))
        mean, std = tuple(map(float, about["mean"])), tuple(map(float, about["std"]))
        student = _student(tensors, architecture, mean, std, str(about["data"]))
        student = replace(student, names=tuple(map(str, about["names"])))
        _check_values(tensors, mean, std, maps(architecture.shape)[0])
        if about["checksum"] != tensors_checksum(tensors):
            raise ValueError("its weights are not those that were written")
    except KeyError as error:
        raise _foreign(path, f"it lacks {error.args[0]}") from error
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise _foreign(path, " ".join(str(error).split())[:200]) from error
    return student


@lru_cache(maxsize=1_000)
def _is_student(path: Path, size: int, changed: int) -> bool:
    try:
        load_student(path)
    except InputError:
        return False
    return True


def is_student(path: Path) -> bool:
    """Whether a file is there and holds a whole student; one that has not changed is read once."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return _is_student(path, stat.st_size, stat.st_mtime_ns)


def tensors_checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of tensors and their names."""
    crc = 0
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(tensor.numpy().tobytes(), zlib.crc32(name.encode(), crc))
    return crc


def _student(
    weights: Mapping[str, Tensor],
    architecture: Architecture,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    data: str,
) -> TrainedStudent:
    """A student with weights, floating ones as float32; batch norm's counters are not needed."""
    floating = {name: tensor.float() for name, tensor in weights.items() if tensor.is_floating_point()}
    with torch.random.fork_rng(devices=[]):
        module = build(architecture)
    counters = {name: tensor for name, tensor in module.state_dict().items() if not tensor.is_floating_point()}
    module.load_state_dict(floating | counters)
    trained = (tensor for name, tensor in floating.items() if name.rpartition(".")[2] not in STATISTICS)
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
