"""Data sets too large for memory, prepared once: their splits lie on the disk and are mapped by every process."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from kd.data.folders import OWN
from kd.data.labels import Labels
from kd.data.mapped import check_room, mapped, told_unwritable, write_rows
from kd.data.samples import Samples
from kd.data.splits import Indices
from kd.files import from_json, is_sound, move_whole, scratch_folder, to_json, write_manifest, write_whole
from space.errors import InputError

Chosen = tuple[Samples, Labels, Indices]
"""Samples of a source with their labels, and those rows of them that make a split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a prepared data set beside its arrays; see `kd.data.dataset.DataSet`."""

    origin: str
    digest: str
    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    given: int
    notes: tuple[str, ...]


_ADAPTER = TypeAdapter(About)


def stamp(path: Path, settings: Mapping[str, Any]) -> str:
    """A name for files as they are now, by their sizes and times of change, that are read with some settings."""
    digest = hashlib.sha256(json.dumps([str(path.resolve()), settings], sort_keys=True).encode())
    for file in [path] if path.is_file() else _files(path):
        about = file.stat()
        digest.update(os.fsencode(file) + f" {about.st_size} {about.st_mtime_ns} ".encode())
    return digest.hexdigest()[:16]


def find(place: Path, name: str) -> About | None:
    """What was prepared below `place` under the name that `stamp` gave, if it is there and whole."""
    path = place / f"{name}.json"
    try:
        about = from_json(_ADAPTER, path.read_bytes(), path, "it is made again")
    except (OSError, InputError):
        return None
    return about if is_sound(place / about.digest) else None


def arrays_of(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a prepared data set, mapped: samples, labels, and `rows`."""
    return {file.stem: mapped(file) for file in sorted(folder.glob("*.npy"))}


def in_memory(chosen: Mapping[str, Chosen]) -> dict[str, NDArray[Any]]:
    """The same in memory."""
    labels = {f"y_{part}": labels[rows] for part, (_, labels, rows) in chosen.items()}
    samples = {f"x_{part}": samples.taken(rows) for part, (samples, _, rows) in chosen.items()}
    return {"rows": chosen["train"][2], **labels, **samples}


def prepare(place: Path, digest: str, chosen: Mapping[str, Chosen]) -> dict[str, NDArray[Any]]:
    """Write the same below `place`, whole or not at all, as far as it is not there; returns it mapped.

    Raises:
        InputError: for samples that cannot be converted, and where there is no room.
    """
    folder = place / digest
    with told_unwritable(place), scratch_folder(place, digest) as draft:
        if is_sound(folder):  # by another name, or another process has made it meanwhile
            return arrays_of(folder)
        check_room(place, size_of(chosen))
        for part, (samples, labels, rows) in chosen.items():
            write_rows(draft, len(rows), ({f"x_{part}": some} for some in samples.some(rows)))
            np.save(draft / f"y_{part}.npy", labels[rows])
        np.save(draft / "rows.npy", chosen["train"][2])
        write_manifest(draft, [path.name for path in draft.iterdir()])
        shutil.rmtree(folder, ignore_errors=True)
        move_whole(draft, folder)
    return arrays_of(folder)


def size_of(chosen: Mapping[str, Chosen]) -> int:
    """Bytes of samples in our form."""
    sizes = (len(rows) * math.prod(samples.shape) * samples.dtype().itemsize for samples, _, rows in chosen.values())
    return sum(sizes)


def remember(place: Path, name: str, about: About) -> None:
    """Have `find` know a data set that `prepare` wrote."""
    write_whole(place / f"{name}.json", to_json(about))


def _files(folder: Path) -> list[Path]:
    """Files that a data set may be read from, not the hidden ones and those that wunderkind writes."""
    found: list[Path] = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in OWN]
        found += (Path(root, name) for name in names)
    return sorted(found)
