"""Teachers whose logits, or probabilities, are stored in a file: a row a sample of the training split."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kd.data.dataset import DataSet
from kd.teachers.network_call import Network
from space.errors import InputError, first_line


def open_logits(path: Path, data: DataSet, columns: int, device: torch.device) -> Network:
    """Rows by a sample's place in the training split; raises InputError for other files.

    They hold floating numbers of shape (given, columns). The array of an `.npz` is the one called `logits`.
    """
    logits = _read(path)
    if logits.shape != (data.given, columns) or not np.issubdtype(logits.dtype, np.floating):
        raise InputError(
            f"{path} holds {logits.dtype} of shape {logits.shape}: {data.name} needs floating logits of shape "
            f"({data.given}, {columns}), a row each training sample, held-out ones included"
        )
    with np.errstate(over="ignore"):
        broken = np.flatnonzero(~np.isfinite(logits.astype(np.float16)).all(1))
    if len(broken):
        raise InputError(f"{path} holds logits that are not finite as float16, first in row {broken[0]}: replace them")
    table = torch.from_numpy(logits.astype(np.float32))[data.rows].to(device)

    def forward(_samples: Tensor, places: Tensor | None = None) -> Tensor:
        assert places is not None
        return table[places.to(device)]

    return Network(forward=forward)


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    try:
        stored = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if path.suffix == ".npz":
            stored = stored["logits"]
        return np.asarray(stored)
    except (zipfile.BadZipFile, zlib.error, KeyError, IndexError, TypeError, ValueError, EOFError, OSError) as error:
        raise InputError(
            f"cannot read logits from {path} ({first_line(error)}): use numpy.save, or numpy.savez with the name logits"
        ) from error
