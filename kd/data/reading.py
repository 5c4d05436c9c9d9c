"""Reading a data set from wherever it lies."""

from difflib import get_close_matches
from pathlib import Path

from kd.data import folders, idx, named, npz
from kd.data.mapped import Scratch
from kd.data.raw import Raw
from space.errors import InputError, did_you_mean


def read(name: str, size: tuple[int, int] | None, formed: bool, scratch: Scratch) -> Raw:
    """Read a data set by its name or path.

    Args:
        name: as `kd.data.dataset.DataSource` has it.
        size: that pictures are resized to; None for any other source.
        formed: whether it is said what arrays hold, which pictures are not told.
        scratch: where what is too large for memory stays on the disk.

    Raises:
        InputError: for what is not known, not readable, or told otherwise than it can be.
    """
    path = Path(name)
    if name and name not in named.KNOWN and path.is_dir() and not idx.find(path):
        if formed:
            raise InputError(
                f"data.kind, data.layout, data.range are of arrays, {name} holds pictures: leave them away"
            )
        return folders.read(path, size, scratch)
    if size is not None:
        raise InputError(f"data.size = {list(size)}: only folders of pictures are resized: leave it out")
    if name in named.SHIPPED:
        return npz.read(named.ASSETS / f"{name}.npz")
    if name in named.NAMES:
        return named.read(name, named.cache_folder())
    if path.suffix.lower() == ".npz" and "://" not in name:
        return npz.read(path, scratch)
    if path.is_file():
        raise InputError(
            f"{path} is a file that is not read: save its arrays with numpy.savez('data.npz', x_train=x, y_train=y), "
            "or unpack it to a folder of class folders of images"
        )
    if "://" in name:
        raise InputError(f"{name} is an address: download what is there and give its path")
    if not name or not path.is_dir():
        raise InputError(
            f"unknown data set '{name}': {did_you_mean(get_close_matches(name, named.KNOWN))}use one of "
            f"{', '.join(named.KNOWN)} or the path of an .npz file, of a folder of IDX files or of class folders of "
            "images"
        )
    return idx.read(path, scratch)
