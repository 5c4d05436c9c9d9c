"""What a worker keeps on its device between tasks: views, and the samples that students are evaluated on."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from kd.data.dataset import Split
from kd.distil.views import View, ViewSource, open_view, read_view
from kd.files import MANIFEST

SHARE = 128
"""A view that takes less than this part of a GPU's memory is kept: eight each of fifteen workers then fit."""


def memory_of(device: torch.device) -> int:
    """Bytes of memory of a GPU; none of other devices, which read what the system keeps for all workers."""
    return int(torch.cuda.mem_get_info(device)[1]) if device.type == "cuda" else 0


def resident_view(source: ViewSource, index: int, device: torch.device, memory: int) -> View:
    """A view on a device with so many bytes of memory, or where it lies on the disk if it is large for that.

    The last few stay, until they are written anew. Raises InputError as `open_view` does.
    """
    view, folder = open_view(source, index), source.view(index)
    if sum(part.nbytes for part in view.parts()) > memory // SHARE:
        return view
    return _kept_view(folder, (folder / MANIFEST).stat().st_mtime_ns, device)


@lru_cache(maxsize=2)
def resident_split(split: Split, device: torch.device) -> Split:
    """A split on a device; the last two stay."""
    return replace(split, images=split.images.to(device), labels=split.labels.to(device))


@lru_cache(maxsize=8)
def _kept_view(folder: Path, _written: int, device: torch.device) -> View:
    return read_view(folder).map(lambda part: part.to(device))
