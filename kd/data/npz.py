"""An `.npz` file."""

import hashlib
import math
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.mapped import LARGE, Scratch, mapped
from kd.data.raw import Raw
from kd.files import CHUNK
from space.errors import InputError

SAMPLES = ("x", "images", "image", "imgs", "data", "samples", "features", "sequences")
LABELS = ("y", "labels", "label", "targets", "target")
PARTS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
CLASS_NAMES = ("names", "classnames", "classes", "labelnames", "targetnames")

FOREIGN = {
    b"version https://git-lfs": "a pointer of Git LFS: git lfs pull brings the file itself",
    b"<": "a web page: download the file itself",
    b"\x93numpy": "a single array: save samples and labels together, numpy.savez('data.npz', x_train=x, y_train=y)",
    b"\x89hdf": "an HDF5 file: save its arrays with numpy.savez",
}
"""What files that are called .npz really are, by how they begin."""

PADDING = (
    "n = max(map(len, x)); x = numpy.stack([numpy.pad(s, [(n - len(s), 0), *[(0, 0)] * (s.ndim - 1)]) for s in x])"
)
"""How sequences of different lengths, (time, features) or (time,), become one array that ends with their last steps."""


def read(path: Path, scratch: Scratch | None = None) -> Raw:
    """Read `x_train y_train` and, if there are any, `x_test y_test` and `x_val y_val`; raises InputError.

    Other usual names (`X_train`, `train_images`, `y_valid`, `x y`) are known too, and so are `class_names`. The
    checksum is that of the file. With a `scratch` folder large arrays stay on the disk, in the file itself unless they
    are compressed.
    """
    if not path.is_file():
        raise InputError(f"no data file at {path}: check the path")
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
        file.seek(0)
        checksum = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    if other := next((what for start, what in FOREIGN.items() if head.startswith(start)), None):
        raise InputError(f"{path} is no .npz file but {other}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            stored = _stored(path, list(archive))
            _check_pickled(path, stored)
            with zipfile.ZipFile(path) as packed:
                large = {entry.filename for entry in packed.infolist() if entry.file_size > LARGE}
                found = {
                    role: _on_disk(path, packed, name, scratch) if scratch and f"{name}.npy" in large else archive[name]
                    for role, name in stored.items()
                }
            left_out = [name for name in archive if name not in stored.values()]
        foreign = [stored[role] for role, array in found.items() if not isinstance(array, np.ndarray)]
        if foreign:
            raise InputError(f"{path} holds no array {foreign[0]}, but a file of that name: save it with numpy.savez")
    # numpy parses an array's header as Python
    except (zipfile.BadZipFile, zlib.error, TokenError, SyntaxError, TypeError, ValueError, EOFError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a readable .npz file ({error}): save it with numpy.savez") from error
    names = found.pop("names", np.array([]))
    others = {role: name for role, name in stored.items() if role != name}
    return Raw(
        origin=str(path),
        checksum=checksum,
        arrays=found,
        names=_class_names(path, names),
        notes=(
            *(f"{name} is taken for {role}" for role, name in others.items()),
            *(f"left out: {name}{_padding(name)}" for name in left_out),
        ),
    )


def _on_disk(path: Path, archive: zipfile.ZipFile, name: str, scratch: Scratch) -> NDArray[Any]:
    """A large array, read once to compare its checksum: where it lies in the file, or unpacked if it is compressed."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        unpacked = scratch.path(entry.filename.replace("/", "_"), entry.file_size)
        with archive.open(entry) as file, unpacked.open("xb") as target:
            shutil.copyfileobj(file, target, CHUNK)
        return mapped(unpacked)
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = header(file)
        begin = file.tell()
        while file.read(CHUNK):
            pass
    if begin + math.prod(shape) * kind.itemsize != entry.file_size:
        raise ValueError(f"{name} holds another number of values than it says")
    with path.open("rb") as raw:
        raw.seek(entry.header_offset)
        # the sizes of the name and of the extra field end the 30 bytes of an entry's local header
        begin += entry.header_offset + 30 + sum(struct.unpack("<26xHH", raw.read(30)))
    return np.memmap(path, kind, "c", begin, shape, "F" if fortran else "C")


def _padding(name: str) -> str:
    """What is to be told of an array that seems to say which steps of sequences are padding."""
    words = ("len", "mask", "padding")
    return ", so padded steps are steps like any other" if any(word in name.lower() for word in words) else ""


def _stored(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Names of the arrays by what they are: `x_train`, …, `y_val`, `names`."""
    found: dict[str, str] = {}
    for name in names:
        role = _role(name)
        if role in found:
            raise InputError(f"{path} holds both {found[role]} and {name}: leave one")
        if role is not None:
            found[role] = name
    holds = ", ".join(names) or "nothing"
    for part in PARTS:
        missing = [role for role in (f"x_{part}", f"y_{part}") if role not in found]
        if len(missing) == 1 or (missing and part == "train"):
            wanted = "x_train y_train, and x_test y_test if it has a test split"
            raise InputError(f"{path} lacks {', '.join(missing)}: it holds {holds}, and must hold {wanted}")
    return found


def _role(name: str) -> str | None:
    """What an array of a name is; None where that cannot be told."""
    plain = "".join(character for character in name.lower() if character.isalnum())
    if plain in CLASS_NAMES:
        return "names"
    for letter, words in (("x", SAMPLES), ("y", LABELS)):
        if plain in words:
            return f"{letter}_train"
        for part, parts in PARTS.items():
            if any(plain in (word + one, one + word) for word, one in product(words, parts)):
                return f"{letter}_{part}"
    return None


def _check_pickled(path: Path, stored: dict[str, str]) -> None:
    """Refuse arrays of Python objects, by their header: they are pickled, and reading them would run what they say."""
    with zipfile.ZipFile(path) as archive:
        for role, name in stored.items():
            if f"{name}.npy" not in archive.namelist():
                continue
            with archive.open(f"{name}.npy") as file:
                if np.lib.format.read_magic(file) == (1, 0):
                    shape, _, kind = np.lib.format.read_array_header_1_0(file)
                    if kind.hasobject and role[0] == "x" and len(shape) == 1:
                        raise InputError(
                            f"{path}: {name} is a list of {shape[0]} arrays of different shapes, which is pickled and "
                            f"not read: resize pictures, and pad sequences before you save, {PADDING}"
                        )
                    if kind.hasobject:
                        raise InputError(
                            f"{path}: {name} holds Python objects, which are pickled and not read: save plain numbers "
                            f'or text, numpy.array({name}.tolist(), dtype="{"uint8" if role[0] == "x" else "U"}")'
                        )


def _class_names(path: Path, names: NDArray[Any]) -> tuple[str, ...]:
    if names.size and (names.ndim != 1 or names.dtype.kind not in "US"):
        raise InputError(f"{path}: the class names are {names.dtype} of shape {names.shape}, must be a list of text")
    found = tuple(name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name) for name in names)
    if twice := [name for name in found if found.count(name) > 1]:
        raise InputError(f"{path}: two classes are named {twice[0]}: give each a name of its own")
    return found
