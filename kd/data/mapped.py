"""Arrays too large for memory: written to the disk part by part, and read through memory that is given back."""

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kd.files import free_bytes, scratch_folder
from space.errors import InputError

LARGE = 2**28
"""Bytes of an array beyond which it stays on the disk, and is shared by all processes."""
PART = 2**25
"""Bytes of an array that are worked on at once."""
ROWS = 1_000
"""Rows of an array that are worked on at once, at most."""


class ArrayFile:
    """An `.npy` file that is written row by row, with the bytes that `numpy.save` would write."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Begin a file of `shape`, (rows, …)."""
        self.dtype, self._file = np.dtype(dtype), path.open("xb")
        about = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, about)

    def append(self, rows: NDArray[Any]) -> None:
        """Write rows behind those that are there."""
        assert rows.dtype == self.dtype, f"{rows.dtype} in a file of {self.dtype}"
        self._file.write(np.ascontiguousarray(rows).data)

    def __enter__(self) -> Self:
        """Use as a context, at whose end the disk has the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())


def write_rows(folder: Path, count: int, batches: Iterable[Mapping[str, NDArray[Any]]]) -> list[str]:
    """Write arrays of so many rows that come batch by batch, each by its name; returns the files' names."""
    files: dict[str, ArrayFile] = {}
    with ExitStack() as stack:
        for batch in batches:
            for name, rows in batch.items():
                if name not in files:
                    file = ArrayFile(folder / f"{name}.npy", (count, *rows.shape[1:]), rows.dtype)
                    files[name] = stack.enter_context(file)
                files[name].append(rows)
    return [f"{name}.npy" for name in files]


class Scratch:
    """Where arrays lie while a data set is read that is too large for memory; made at its first use."""

    def __init__(self, place: Path, stack: ExitStack) -> None:
        """In a folder below `place`, which `stack` removes."""
        self._place, self._stack = place, stack
        self._folder: Path | None = None

    def path(self, name: str, size: int) -> Path:
        """Where a file of so many bytes may be written; raises InputError where there is no room."""
        if self._folder is None:
            with told_unwritable(self._place):
                self._folder = self._stack.enter_context(scratch_folder(self._place, "reading"))
        check_room(self._place, size)
        return self._folder / name


@contextmanager
def scratch_at(place: Path) -> Iterator[Scratch]:
    """A scratch folder below `place`, removed at the end."""
    with ExitStack() as stack:
        yield Scratch(place, stack)


@contextmanager
def told_unwritable(place: Path) -> Iterator[None]:
    """Tell in one line what cannot be written below the folder that large data are kept in."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"data too large for memory are kept in {place}, which cannot be written ({error.strerror}): set "
            "WUNDERKIND_DATA to a folder that can"
        ) from error


def check_room(place: Path, size: int) -> None:
    """Raise InputError where a disk has no room for data of so many bytes."""
    free = free_bytes(place)
    if size > free:
        raise InputError(
            f"data too large for memory take {size / 1e9:.1f} GB more in {place}, {free / 1e9:.1f} GB are free: make "
            "room, or set WUNDERKIND_DATA to a folder with more"
        )


def mapped(path: Path) -> NDArray[Any]:
    """The array of an `.npy` file, read when it is used; raises OSError, ValueError or EOFError for a damaged one.

    Copy-on-write: nothing is copied and the file cannot be changed, yet torch sees a writable array.
    """
    array: NDArray[Any] = np.load(path, mmap_mode="c")
    return array


def mapping_of(array: Any) -> mmap.mmap | None:
    """The mapping that an array, or the one that it is a view of, lies in; None where it lies in memory."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


def release(mapping: mmap.mmap | None) -> None:
    """Give back the memory that a mapping's pages take; what is read again comes from the system's cache or the disk.

    Without it a process keeps every page that it has read as long as memory is left.
    """
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """All rows of an array in parts that fit into memory, which is given back after each."""
    mapping, step = mapping_of(array), rows_at_once(array)
    for start in range(0, len(array), step):
        yield array[start : start + step]
        release(mapping)


def rows_at_once(array: NDArray[Any]) -> int:
    """How many rows of an array are worked on at once."""
    return max(1, min(ROWS, PART * len(array) // max(1, array.nbytes)))


def extremes(array: NDArray[Any]) -> tuple[Any, Any]:
    """Lowest and highest value of an array; not a number where one is none."""
    pairs = [(part.min(), part.max()) for part in parts(array)]
    lowest, highest = zip(*pairs, strict=True)
    return np.min(lowest), np.max(highest)
