"""A folder of class folders of image files."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd.data.classes import composed, natural, order_note, printable
from kd.data.mapped import Scratch
from kd.data.pictures import read_pictures, suffixes
from kd.data.raw import Raw, fingerprint
from space.errors import InputError

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Usual names of splits, in lower case."""

LEFTOVERS = (
    "__macosx",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "desktop.ini",
)
"""What operating systems leave in folders, in lower case, beside names that begin with a dot."""

DETECTION = ("labels", "annotations")
"""Folders beside pictures of which each shows several things, in lower case."""

PACKED = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".rar")
"""Suffixes of archives."""

OWN = {"runs": "*/study.db", "teachers": "*.safetensors"}
"""Folders that wunderkind itself writes where it is started, and what they hold."""

Classes = dict[str, list[Path]]
"""Image files by class."""


def read(folder: Path, size: tuple[int, int] | None, scratch: Scratch | None = None) -> Raw:
    """Read `train/CLASS/*.png`, `test/CLASS/*.png` and, if it is there, `val/CLASS/*.png`, or `CLASS/*.png` unsplit.

    Args:
        folder: holds the splits under any of their usual names, or the class folders themselves, in which pictures may
            lie at any depth; class folders in natural order are the labels 0, 1, ….
        size: (height, width) to resize to; None: all pictures must have one size.
        scratch: where many of them stay on the disk; None to hold them all in memory.

    Returns:
        Pictures uint8 of shape (n, height, width, channels), grey where all of them are, on white where they are
        transparent; without `x_test` where there is no such split. The notes say what was left out.

    Raises:
        InputError: for a picture that cannot be read or has another size, which it names, for a class folder that is
            empty or missing in training, and for a split without any picture.
    """
    skipped: Counter[str] = Counter()
    splits = {part: _classes(root, skipped) for part, root in _roots(folder, skipped).items()}
    _check(folder, splits, skipped)
    names = natural(splits["train"])
    pictures = {
        part: [(path, label) for label, name in enumerate(names) for path in classes.get(name, ())]
        for part, classes in splits.items()
    }
    pixels, notes = read_pictures([path for entries in pictures.values() for path, _ in entries], size, scratch)
    arrays: dict[str, NDArray[Any]] = {}
    start = 0
    for part, entries in pictures.items():
        arrays[f"x_{part}"] = pixels[start : start + len(entries)]
        arrays[f"y_{part}"] = np.array([label for _, label in entries], dtype=np.int64)
        start += len(entries)
    left_out = tuple(f"left out: {count} × {what}" for what, count in sorted(skipped.items()))
    return Raw(
        origin=printable(folder),
        checksum=fingerprint(arrays),
        arrays=arrays,
        names=tuple(names),
        notes=(*order_note(names), *notes, *left_out),
    )


def _roots(folder: Path, skipped: Counter[str]) -> dict[str, Path]:
    """The folder of every split; `folder` itself is the training split where its class folders lie side by side.

    A folder of the name of a split is one where it holds class folders, and a class where it holds pictures.
    """
    found: dict[str, Path] = {}
    others: list[Path] = []
    beside: Counter[str] = Counter()
    for path in _subfolders(folder, beside):
        part, inner = SPLITS.get(path.name.lower()), len(_subfolders(path, Counter()))
        if part is None or inner == 0 or (inner == 1 and _holds_pictures(path, direct=True)):
            others.append(path)
        elif part in found:
            raise InputError(f"{printable(folder)} holds both {found[part].name} and {path.name}: leave one")
        else:
            found[part] = path
    crowd = [path for path in others if _holds_pictures(path)]
    both = {path.name for path in crowd} & {path.name for path in _subfolders(found.get("train", folder), Counter())}
    if "train" in found and both:
        where, train = printable(folder), printable(found["train"].name)
        raise InputError(f"{where} holds class {min(both)} both beside {train} and in it: leave one")
    if found.keys() == {"train"} and crowd and (len(crowd) > 1 or len(_subfolders(found["train"], Counter())) == 1):
        return {"train": folder}
    if "train" not in found:
        _check_side_by_side(folder, found, crowd)
        return {"train": folder}
    skipped.update(beside)
    skipped.update(f"folder {printable(path.name)}, beside the splits" for path in others)
    return found


def _check_side_by_side(folder: Path, found: Mapping[str, Path], crowd: list[Path]) -> None:
    where = printable(folder)
    if found and len(crowd) < 2:
        raise InputError(f"{where} has {next(iter(found.values())).name} but no train: add it")
    named = {SPLITS.get(path.name.lower()) for path in crowd}
    if "train" in named and None not in named:
        names = " and ".join(path.name for path in crowd)
        raise InputError(f"{where} has {names}, but their pictures are not in class folders: put each class into one")


def _classes(root: Path, skipped: Counter[str]) -> Classes:
    """Files of every class folder, which may be empty; those whose names are the same to a reader are one class."""
    classes: Classes = {}
    for folder in _subfolders(root, skipped):
        if folder.is_symlink() and folder.resolve().parent == root.resolve():
            skipped[f"folder {printable(folder.name)}, a link to the class beside it"] += 1
            continue
        classes.setdefault(composed(folder.name), []).extend(_pictures(folder, skipped))
    stray = sum(_is_picture(path) for path in root.iterdir())
    if stray:
        skipped[f"picture beside the class folders in {printable(root.name)}"] += stray
    return classes


def _check(folder: Path, splits: Mapping[str, Classes], skipped: Counter[str]) -> None:
    train = splits["train"]
    where = printable(folder)
    if len(train) < 2:
        raise InputError(f"{where} holds {len(train)} class folders for training: {_where_else(folder)}")
    for part, classes in splits.items():
        for name in classes:
            if name not in train:
                alike = [known for known in train if known.casefold() == name.casefold()]
                hint = f"is it {alike[0]}?" if alike else "every class must be trained"
                raise InputError(f"the {part} split of {where} holds class {name}, its training split does not: {hint}")
        if not any(classes.values()):
            raise InputError(f"the {part} split of {where} holds no images{_others(skipped)}: add some, or remove it")
    empty = [name for name, files in train.items() if not files]
    if empty and empty[0].lower() in DETECTION:
        raise InputError(
            f"{where} holds a folder {empty[0]} without pictures, as data for object detection do: put the pictures of "
            "every class into a folder of its own"
        )
    if empty:
        raise InputError(f"class {empty[0]} of {where} holds no images{_others(skipped)}: add some, or remove it")


def _where_else(folder: Path) -> str:
    """What to do where a folder holds no two class folders."""
    inner = folder
    while len(below := _subfolders(inner, Counter())) == 1:
        inner = below[0]
    chosen = next((path for path in [inner, *below] if len(_subfolders(path, Counter())) > 1), folder)
    if chosen != folder:
        return f"give {printable(chosen)}, if you mean that"
    packed = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PACKED)
    return f"unpack {printable(packed[0])}" if packed else "put every class's images into one"


def _others(skipped: Counter[str]) -> str:
    files = [f"{count} × {what}" for what, count in skipped.most_common(3)]
    return f" that can be read (but {', '.join(files)})" if files else ""


def _is_leftover(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFTOVERS


def _is_own(path: Path) -> bool:
    """Whether it is a folder that wunderkind wrote: it holds what we write, or it has such a name and no picture."""
    holds = any(True for pattern in OWN.values() for _ in path.glob(pattern))
    return holds or (path.name in OWN and not _holds_pictures(path))


def _subfolders(root: Path, skipped: Counter[str]) -> list[Path]:
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(
            f"cannot read the folder {printable(root)} ({error.strerror}): check its permissions"
        ) from error
    kept = []
    for path in folders:
        if _is_leftover(path.name):
            skipped[f"folder {printable(path.name)}, hidden or of the operating system"] += 1
        elif _is_own(path):
            skipped[f"wunderkind's own folder {path.name}"] += 1
        else:
            kept.append(path)
    return kept


def _files(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """All files below a folder, links to folders followed once, but none to a folder that it lies in."""
    seen = {(about.st_dev, about.st_ino) for about in (os.stat(parent) for parent in folder.resolve().parents)}
    for root, names, files in os.walk(folder, followlinks=True):
        about = os.stat(root)
        if (about.st_dev, about.st_ino) in seen:  # a link that leads back
            names.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        hidden = [name for name in names if _is_leftover(name)]
        skipped.update(f"folder {printable(name)}, hidden or of the operating system" for name in hidden)
        names[:] = [name for name in names if name not in hidden]
        yield from (Path(root, name) for name in files)


def _pictures(folder: Path, skipped: Counter[str]) -> list[Path]:
    found = []
    for path in _files(folder, skipped):
        if _is_leftover(path.name):
            skipped["file, hidden or of the operating system"] += 1
        elif path.suffix.lower() in suffixes():
            found.append(path)
        else:
            skipped[f"{printable(path.suffix.lower()) or 'file without a suffix'}, no picture that can be read"] += 1
    return sorted(found)


def _holds_pictures(folder: Path, direct: bool = False) -> bool:
    """Whether pictures lie anywhere below a folder, or in it."""
    return any(map(_is_picture, folder.iterdir() if direct else _files(folder, Counter())))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in suffixes() and not _is_leftover(path.name) and path.is_file()
