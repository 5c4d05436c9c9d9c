"""Features of samples laid out in a plane, neighbours beside each other: t-SNE (van der Maaten and Hinton 2008)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kd.data.dataset import DataSet
from kd.files import write_whole
from kd.students.evaluate import normalise
from space.blocks.base import as_maps
from space.errors import InputError, first_line
from space.network import Student

SAMPLES = 600
"""Validation samples that are laid out at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding:
    """Positions, float32 (n, 2), and the places of the samples in the validation split, int64 (n,)."""

    places: Tensor
    positions: Tensor

    @classmethod
    def of(cls, features: Tensor, places: Tensor) -> Self:
        """Lay out features (n, width) of the validation samples at some places."""
        from sklearn.manifold import TSNE  # takes a second that no other task needs

        flat = features.flatten(1).double().numpy()
        scale = flat.std() or 1.0
        layout = TSNE(perplexity=min(30.0, (len(flat) - 1) / 3), init="pca", random_state=0)
        positions = layout.fit_transform(np.ascontiguousarray(flat / scale, dtype=np.float32))
        return cls(places=places, positions=torch.from_numpy(positions))

    def save(self, path: Path) -> None:
        """Write it as a safetensors file."""
        write_whole(path, save({"places": self.places, "positions": self.positions.contiguous()}))

    @classmethod
    def load(cls, path: Path, data: DataSet) -> Self:
        """Read what `save` wrote; raises InputError for a file that is missing, damaged or of other data."""
        try:
            tensors = load(path.read_bytes())
            if int(tensors["places"].max()) >= len(data.validation.labels):
                raise ValueError("it is of other data")
            return cls(places=tensors["places"], positions=tensors["positions"])
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise InputError(
                f"cannot read {path} ({first_line(error)}): it is written when a retraining ends"
            ) from error


def embedded_places(data: DataSet) -> Tensor:
    """Places of the validation samples that are laid out, int64: drawn alike for every network and machine."""
    return torch.randperm(len(data.validation.labels), generator=torch.Generator().manual_seed(0))[:SAMPLES]


@torch.no_grad()
def student_features(student: Student, data: DataSet, places: Tensor) -> Tensor:
    """What a student's classifier sees of validation samples, float32 (n, width)."""
    student.eval()
    cpu = torch.device("cpu")
    parts = [normalise(data.validation.taken(part), data, cpu) for part in places.split(500)]
    return torch.cat([student.blocks(as_maps(part)).flatten(1) for part in parts])
