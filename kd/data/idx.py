"""IDX files, the format of MNIST and its kin (LeCun et al. 1998), plain or compressed with gzip."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.raw import Raw, fingerprint
from space.errors import InputError

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""Data types by the third byte of a file."""

FILES = {
    "x_train": ("train-images-idx3-ubyte",),
    "y_train": ("train-labels-idx1-ubyte",),
    "x_test": ("t10k-images-idx3-ubyte", "test-images-idx3-ubyte"),
    "y_test": ("t10k-labels-idx1-ubyte", "test-labels-idx1-ubyte"),
}


def read(folder: Path) -> Raw:
    """Read a folder's four files; raises InputError for one that is missing or damaged."""
    files = find(folder)
    if len(files) < len(FILES):
        lacking = [names[0] for part, names in FILES.items() if part not in files]
        raise InputError(f"{folder} lacks {', '.join(lacking)}: put the IDX files there, plain or as .gz")
    arrays = {part: read_file(path) for part, path in files.items()}
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


def read_file(path: Path) -> NDArray[Any]:
    """Read one file: two zero bytes, type, rank, sizes (big-endian 32 bits each), values; raises InputError."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is not a whole gzip file ({error}): get it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or len(content) < 4 + 4 * content[3]:
        raise InputError(f"{path} is not an IDX file (it begins {content[:4].hex(' ')}): get it again")
    kind, start = np.dtype(TYPES[content[2]]), 4 + 4 * content[3]
    sizes = np.frombuffer(content, ">u4", content[3], offset=4).tolist()
    expected = math.prod(sizes) * kind.itemsize
    if len(content) - start != expected:
        raise InputError(
            f"{path} holds {len(content) - start:,} bytes of values, its header says {expected:,}: get it again"
        )
    values = np.frombuffer(content, kind, offset=start).reshape(sizes)
    return values.astype(kind.newbyteorder("="))
