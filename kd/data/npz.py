"""An `.npz` file."""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np

from kd.data.raw import Raw
from space.errors import InputError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
VALIDATION = ("x_val", "y_val")


def read(path: Path) -> Raw:
    """Read `x_train y_train x_test y_test` and, if there are any, `x_val y_val`; raises InputError.

    The checksum is that of the file.
    """
    if not path.is_file():
        raise InputError(f"no data file at {path}: check the path")
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            wanted = ARRAYS + VALIDATION if any(name in archive for name in VALIDATION) else ARRAYS
            missing = [name for name in wanted if name not in archive]
            if missing:
                raise InputError(f"{path} lacks {', '.join(missing)}: it must hold {' '.join(wanted)}")
            arrays = {name: archive[name] for name in wanted}
        foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
        if foreign:
            raise InputError(f"{path} holds no array {foreign[0]}, but a file of that name: save it with numpy.savez")
    # numpy parses an array's header as Python
    except (zipfile.BadZipFile, zlib.error, TokenError, SyntaxError, TypeError, ValueError, EOFError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a readable .npz file ({error}): save it with numpy.savez") from error
    return Raw(origin=str(path), checksum=hashlib.sha256(content).hexdigest(), arrays=arrays)
