"""Data sets by name: from files already on the machine, else downloaded by torchvision.

torchvision is imported where it is needed: it takes two seconds, and the shipped MNIST needs none of it.
"""

import os
import tempfile
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data import idx
from kd.data.raw import Raw, fingerprint
from kd.files import scratch_folder
from space.errors import InputError

ASSETS = Path(__file__).parents[1] / "assets"
SHIPPED = {
    "mnist": "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
    "mnist-1d": "39bfb50805111494d2e08e02058811e6f78f50a790900d50d7b4c457e9d8fc83",
}
"""Data sets that come with wunderkind, and their checksums."""

IDX = {
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist-balanced": "EMNIST",
    "emnist-letters": "EMNIST",
    "emnist-digits": "EMNIST",
}
"""Data sets that are IDX files, and torchvision's class for each."""

OTHER = {"usps": "USPS", "cifar10": "CIFAR10", "svhn": "SVHN"}
"""Data sets in formats of their own, which torchvision reads."""

NAMES = (*IDX, *OTHER)
KNOWN = (*SHIPPED, *NAMES)
CHECKSUMS = {"fashion-mnist": "4193f3d23d16f757ac290c23c037d06693e162818a856860f9a421b592c7d18e"}
"""What `kd.data.raw.fingerprint` must give, as far as it is known: files placed by hand have no other checksum."""

SYSTEM = Path("/usr/share/datasets")
"""Where Debian's packages `dataset-*` install."""


def cache_folder() -> Path:
    """Where downloads go: `$WUNDERKIND_DATA`, else `$XDG_CACHE_HOME/wunderkind`, else `~/.cache/wunderkind`."""
    if own := os.environ.get("WUNDERKIND_DATA"):
        return Path(own)
    try:
        own = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError:  # a user whom the system does not know, without $HOME
        own = os.path.join(tempfile.gettempdir(), f"cache-{os.getuid()}")
    return Path(own) / "wunderkind"


def read(name: str, cache: Path, system: Path = SYSTEM) -> Raw:
    """Read one of `NAMES`, after downloading it into `cache` if it is not on this machine.

    It is looked for in torchvision's layout under `cache` (`FashionMNIST/raw`, `cifar-10-batches-py`, …), in
    `cache/<name>` and, IDX files only, in `system/<name>`.

    Raises:
        InputError: for files that are damaged, and when the download fails; no part of one is left then.
    """
    raw = _local(name, cache, system)
    if raw is None:
        _download(name, cache)
        raw = _local(name, cache, system)
        assert raw is not None, f"torchvision has not put {name} where it looks for it"
    if CHECKSUMS.get(name, raw.checksum) != raw.checksum:
        raise InputError(f"checksum of {name} in {raw.origin} is not {CHECKSUMS[name]}: delete it and get it again")
    return raw


def _local(name: str, cache: Path, system: Path) -> Raw | None:
    if name in OTHER:
        return next((raw for root in (cache, cache / name) if (raw := _other(name, root)) is not None), None)
    for folder in (cache / IDX[name] / "raw", cache / name, system / name):
        files = idx.find(folder, f"{name}-" if name.startswith("emnist") else "")
        if len(files) == len(idx.FILES):
            return _idx(name, folder, files)
    return None


def _idx(name: str, folder: Path, files: Mapping[str, Path]) -> Raw:
    from torchvision import datasets

    family = getattr(datasets, IDX[name])
    arrays = {part: idx.read_file(path) for part, path in files.items()}
    if family is not datasets.EMNIST:
        return _raw(folder, arrays, family.classes)
    # EMNIST's files hold every image with rows and columns exchanged, and letters count from 1
    arrays |= {part: np.swapaxes(arrays[part], 1, 2) for part in ("x_train", "x_test")}
    split = name.removeprefix("emnist-")
    classes = family.classes_split_dict[split]
    if split == "letters":
        arrays |= {part: arrays[part].astype(np.int64) - 1 for part in ("y_train", "y_test")}
        classes = classes[1:]
    return _raw(folder, arrays, classes)


def _other(name: str, root: Path) -> Raw | None:
    """Read a data set that torchvision has a format for; None where a file is missing."""
    from torchvision import datasets

    family = getattr(datasets, OTHER[name])
    files = _files(name)
    if not all((root / file).is_file() for file in files):
        return None
    for file, md5 in files.items():
        if not datasets.utils.check_integrity(root / file, md5):
            raise InputError(f"checksum of {root / file} is not {md5} (MD5): the file is damaged, delete it")
    arrays: dict[str, NDArray[Any]] = {}
    for part, choice in _splits(name).items():
        loaded = family(root, **choice)
        arrays[f"x_{part}"] = np.asarray(loaded.data)
        arrays[f"y_{part}"] = np.asarray(loaded.labels if name == "svhn" else loaded.targets)
    return _raw(root, arrays, getattr(loaded, "classes", ()))


def _files(name: str) -> dict[str, str]:
    """Files of a data set of `OTHER`, relative to torchvision's root, and their MD5 checksums."""
    from torchvision import datasets

    if name == "cifar10":
        family = datasets.CIFAR10
        lists = [*family.train_list, *family.test_list, (family.meta["filename"], family.meta["md5"])]
        return {f"{family.base_folder}/{file}": md5 for file, md5 in lists}
    lists = getattr(datasets, OTHER[name]).split_list
    return {lists[part][1]: lists[part][2] for part in ("train", "test")}


def _splits(name: str) -> dict[str, dict[str, Any]]:
    """What torchvision's class is to be given for the training and the test split."""
    if name == "svhn":
        return {part: {"split": part} for part in ("train", "test")}
    return {"train": {"train": True}, "test": {"train": False}}


def _raw(origin: Path, arrays: Mapping[str, NDArray[Any]], classes: tuple[str, ...] | list[str]) -> Raw:
    return Raw(origin=str(origin), checksum=fingerprint(arrays), arrays=arrays, names=tuple(classes))


def _download(name: str, cache: Path) -> None:
    """Let torchvision download a data set and compare its checksums, then move it to `cache`, whole or not at all."""
    from torchvision import datasets

    family = getattr(datasets, (IDX | OTHER)[name])
    more = {"split": name.removeprefix("emnist-")} if name.startswith("emnist") else {}
    try:
        with scratch_folder(cache, name) as draft:
            if _local(name, cache, cache) is not None:  # another process has got it meanwhile
                return
            for choice in _splits(name).values():
                family(draft, download=True, **choice, **more)
            for path in [path for path in draft.rglob("*") if path.is_file()]:
                target = cache / path.relative_to(draft)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except (OSError, RuntimeError, HTTPException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"cannot download {name} ({reason}): {_by_hand(name, cache)}") from error


def _by_hand(name: str, cache: Path) -> str:
    if name in OTHER:
        return f"put {', '.join(_files(name))} into {cache}"
    prefix = f"{name}-" if name.startswith("emnist") else ""
    files = ", ".join(f"{prefix}{names[-1 if prefix else 0]}.gz" for names in idx.FILES.values())
    package = f", or install the Debian package dataset-{name}" if name == "fashion-mnist" else ""
    return f"put {files} into {cache / name}{package}"
