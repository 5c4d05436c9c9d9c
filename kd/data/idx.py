"""IDX files, the format of MNIST and its kin (LeCun et al. 1998), plain or compressed with gzip."""

import gzip
import math
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.mapped import LARGE, Scratch
from kd.data.raw import Raw, fingerprint
from kd.files import CHUNK
from space.errors import InputError

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Data types by the third byte of a file."""

FILES = {
    "x_train": ("train-images-idx3-ubyte",),
    "y_train": ("train-labels-idx1-ubyte",),
    "x_test": ("t10k-images-idx3-ubyte", "test-images-idx3-ubyte"),
    "y_test": ("t10k-labels-idx1-ubyte", "test-labels-idx1-ubyte"),
}


PACKED = 4
"""How many times smaller a compressed file may be than its content, for a guess whether that is large."""


def read(folder: Path, scratch: Scratch | None = None) -> Raw:
    """Read a folder's four files; raises InputError for one that is missing or damaged.

    With a `scratch` folder large ones stay on the disk.
    """
    files = find(folder)
    if len(files) < len(FILES):
        lacking = [names[0] for part, names in FILES.items() if part not in files]
        raise InputError(f"{folder} lacks {', '.join(lacking)}: put the IDX files there, plain or as .gz")
    arrays = {part: read_file(path, scratch) for part, path in files.items()}
    return Raw(origin=str(folder), checksum=fingerprint(arrays), arrays=arrays)


def find(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Those of a folder's four files that are there, by the array they hold; plain ones before compressed ones."""
    found: dict[str, Path] = {}
    for part, names in FILES.items():
        paths = (folder / f"{prefix}{name}{suffix}" for suffix in ("", ".gz") for name in names)
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            found[part] = path
    return found


def read_file(path: Path, scratch: Scratch | None = None) -> NDArray[Any]:
    """Read one file: two zero bytes, type, rank, sizes (big-endian 32 bits each), values; raises InputError."""
    content = _content(path, scratch)
    head = content[:4].tobytes()
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or len(content) < 4 + 4 * head[3]:
        raise InputError(f"{path} is not an IDX file (it begins {head.hex(' ')}): get it again")
    kind, start = np.dtype(TYPES[head[2]]), 4 + 4 * head[3]
    sizes = content[4:start].view(">u4").tolist()
    expected = math.prod(sizes) * kind.itemsize
    if len(content) - start != expected:
        raise InputError(
            f"{path} holds {len(content) - start:,} bytes of values, its header says {expected:,}: get it again"
        )
    values = content[start:].view(kind).reshape(sizes)
    return values if kind.itemsize == 1 else values.astype(kind.newbyteorder("="))


def _content(path: Path, scratch: Scratch | None) -> NDArray[np.uint8]:
    """The bytes of a file, unpacked; mapped where they are many."""
    size = path.stat().st_size
    if path.suffix != ".gz":
        if scratch is None or size <= LARGE:
            return np.frombuffer(path.read_bytes(), np.uint8)
        return np.memmap(path, np.uint8, "c")
    try:
        if scratch is None or size * PACKED <= LARGE:
            return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
        unpacked = scratch.path(path.name, size)
        with gzip.open(path) as file, unpacked.open("xb") as target:
            shutil.copyfileobj(file, target, CHUNK)
        return np.memmap(unpacked, np.uint8, "c")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}): get it again") from error
