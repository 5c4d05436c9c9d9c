"""What every source gives: named arrays, as found."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.mapped import parts

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    """Data as a source holds it, unchecked.

    `arrays` has `x_train y_train`, mostly `x_test y_test` and sometimes `x_val y_val`. `origin` says where they were
    read, `checksum` (SHA-256) stands for their content, `names` are the classes' where they have any, and `notes` say
    what was left out or guessed.
    """

    origin: str
    checksum: str
    arrays: Arrays
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fingerprint(arrays: Arrays) -> str:
    """SHA-256 over names, types, shapes and values: the same data has the same one, however its files are packed."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        for part in parts(np.atleast_1d(array)):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
