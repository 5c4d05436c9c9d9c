"""Files as people have them: each is read as what it is, with a note where that was guessed, or refused in one line.

A row is what an archive holds and what comes of it: the shape of a sample and the classes, with a word of a note, or
the words of the refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kd.data.dataset import DataSource, load
from space.errors import InputError

N = 60
Y = np.arange(N) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 8, 8)).astype(np.uint8)
SEQUENCES = np.random.default_rng(1).normal(size=(N, 20, 3)).astype(np.float32)
GREY, STEPS = (1, 8, 8), (20, 3)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arrays beside images and labels 0, 1, 2, settings, and what is right: `refused`, or shape, classes and note."""

    arrays: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = GREY
    names: tuple[str, ...] = ("0", "1", "2")
    note: str = ""
    refused: str = ""


def y(labels: Any, **right: Any) -> Case:
    return Case(arrays={"y_train": np.asarray(labels)}, **right)


def x(samples: Any, **right: Any) -> Case:
    return Case(arrays={"x_train": np.asarray(samples)}, **right)


ARRAYS = {
    "pixels as int64": x(IMAGES.astype(np.int64), note="0 is taken for black and 255 for white"),
    "pixels as float16 in 0..1": x((IMAGES / 255).astype(np.float16)[..., None], note="1 for white"),
    "pixels in -1..1": x(IMAGES[:, None] / 127.5 - 1, note="-1 is taken for black"),
    "pixels from -128": x((IMAGES.astype(int) - 128).astype(np.int8)[:, None], refused=r"values -12\d..127: say"),
    "standardised pixels": x(np.random.default_rng(2).normal(size=(N, 3, 8, 8)), refused="standardised ones must be"),
    "12 bits": x(IMAGES.astype(np.uint16) * 16, refused="say data.kind"),
    "12 bits in a range": x(
        IMAGES.astype(np.uint16) * 16, settings={"kind": "images", "range": "0..4095"}, note="validation"
    ),
    "the other end first": x(IMAGES.astype(">u2"), settings={"kind": "images", "range": "0..255"}),
    "columns first": x(np.asfortranarray(np.repeat(IMAGES[..., None], 3, 3)), shape=(3, 8, 8)),
    "four channels": x(np.repeat(IMAGES[..., None], 4, 3), shape=(4, 8, 8)),
    "two channels last": x(np.repeat(IMAGES[..., None], 2, 3), refused="or say data.layout"),
    "channels first or last": x(
        np.repeat(IMAGES[:, :3, :, None], 3, 3), shape=(3, 8, 3), note="read as channels_first"
    ),
    "one pixel": x(IMAGES[:, :1, :1], shape=(1, 1, 1)),
    "a strip": x(IMAGES.reshape(N, 2, 32), shape=(1, 2, 32)),
    "flat rows": x(IMAGES.reshape(N, 64), refused=r"x.reshape\(-1, 8, 8\)"),
    "flat rows of images": x(IMAGES.reshape(N, 64), settings={"kind": "images"}, note="square images, row by row"),
    "a table": x(SEQUENCES[:, 0], refused="say data.kind"),
    "a table taken for steps": x(SEQUENCES[:, 0], settings={"kind": "sequences"}, shape=(3, 1)),
    "films": x(np.zeros((N, 4, 8, 8, 3), np.uint8), refused="must be numbers: images"),
    "black pictures": x(IMAGES * 0, refused="all samples of x_train are equal"),
    "no samples": Case(arrays={"x_train": IMAGES[:0], "y_train": Y[:0]}, refused="x_train has no samples: add some"),
    "an empty test split": Case(arrays={"x_test": IMAGES[:0], "y_test": Y[:0]}, refused="x_test has no samples: leave"),
    "a test split of other pictures": Case(
        arrays={"x_test": IMAGES[:9, :4], "y_test": Y[:9]}, refused=r"are \(1, 8, 8\), x_test images are \(1, 4, 8\)"
    ),
    "a test split of another range": Case(
        arrays={"x_train": IMAGES[:, None] / 255, "x_test": IMAGES[:9, None] * 1.0, "y_test": Y[:9]},
        refused="outside of the range 0..1",
    ),
    "a validation split without labels": Case(arrays={"x_val": IMAGES[:9]}, refused="lacks y_val"),
    "padded steps and their lengths": Case(
        arrays={"x_train": SEQUENCES, "lengths": np.full(N, 20)}, shape=STEPS, note="padded steps are steps like any"
    ),
    "steps padded behind": x(
        np.where(np.arange(20)[:, None] < 9, SEQUENCES, 0), shape=STEPS, note="60 of 60 sequences end with zeros: if"
    ),
    "features padded behind": x(
        np.where(np.arange(20) < 9, SEQUENCES.transpose(0, 2, 1), 0),
        settings={"layout": "features_first"},
        shape=STEPS,
        note="60 of 60 sequences end with zeros",
    ),
    "steps padded in front": x(np.where(np.arange(20)[:, None] > 9, SEQUENCES, 0), shape=STEPS),
    "steps of different lengths": x(
        np.array([SEQUENCES[0], SEQUENCES[1, :9]], dtype=object), refused="resize pictures, and pad sequences"
    ),
    "few samples": Case(note="samples the standard error of an accuracy of 90 % is"),
    "a validation split of one class": Case(
        arrays={"x_val": IMAGES[:6], "y_val": Y[:6] * 0}, note="the validation split has no sample of 1, 2"
    ),
    "a test split that lacks a class": Case(
        arrays={"x_test": IMAGES[:9], "y_test": Y[:9] % 2}, note="the test split has no sample of 2"
    ),
    "labels of empty text": y(np.array(["", "a", "b"])[Y], refused="y_train holds empty text: leave samples without"),
    "a class of no name": Case(arrays={"class_names": np.array(["a", "b", ""])}, refused="class 2 has an empty name"),
    "steps in reverse": x(SEQUENCES[:, ::-1], shape=STEPS),
    "rows in reverse, labels unsigned": Case(arrays={"x_train": IMAGES[::-1], "y_train": Y.astype(np.uint64)}),
    "no axes": x(np.array(5), refused=r"of shape \(\), must be numbers"),
    "labels of no axes": y(np.array(5), refused="must be one integer or text a sample"),
    "nothing but gaps": x(np.full((N, 8, 3), np.nan), refused="not finite"),
    "drawings of two values": x(IMAGES.astype(np.int64) // 128, refused="say data.kind"),
    "an array of another use": Case(arrays={"indices": Y}, note="left out: indices"),
    "steps with gaps": x(np.where(SEQUENCES > 2, np.nan, SEQUENCES), refused="not finite"),
    "steps beyond float32": x(SEQUENCES.astype(np.float64) * 1e300, refused="not finite in float32"),
    "sound as int16": x((SEQUENCES * 1000).astype(np.int16), refused="say data.kind"),
    "sound as int16, told": x((SEQUENCES * 1000).astype(np.int16), settings={"kind": "sequences"}, shape=STEPS),
    "spectra": x(SEQUENCES.astype(np.complex64), refused="must be numbers"),
    "dates": x(np.array(["2020-01-01"] * N, "M8[D]").reshape(N, 1), refused="must be numbers"),
    "texts": x(["hello"] * N, refused="must be numbers"),
    "records": x(np.zeros(N, dtype=[("a", "f4"), ("b", "f4")]), refused="must be numbers"),
    "labels from 1": y(Y + 1, names=("1", "2", "3"), note="labels 1, 2, 3 are classes 0 to 2 in this order"),
    "labels -1 and 1": y(np.array([-1, 1])[Y % 2], names=("-1", "1"), note="labels -1, 1 are classes 0 to 1"),
    "labels from 1 with names": Case(
        arrays={"y_train": Y + 1, "class_names": np.array(["a", "b", "c"])}, names=("a", "b", "c"), note="0 to 2"
    ),
    "labels from 1, one too many in the test": Case(
        arrays={"y_train": Y + 1, "x_test": IMAGES[:9], "y_test": Y[:9]}, refused=r"labels that y_train lacks: \[0\]"
    ),
    "labels with gaps": y(np.array([0, 2, 5])[Y], refused="numpy.unique"),
    "labels that are missing": y(np.where(Y == 0, np.nan, Y), refused="leave samples without one out"),
    "labels as truth": y(Y == 0, names=("0", "1")),
    "labels as bytes": y(np.array([b"cat", b"dog", b"ox"])[Y], names=("cat", "dog", "ox")),
    "labels with blanks": y(np.array(["cat ", " cat", "dog"])[Y], names=("cat", "dog")),
    "labels in upper and lower case": y(
        np.array(["Cat", "cat", "dog"])[Y], names=("Cat", "cat", "dog"), note="Cat and cat are two classes"
    ),
    "labels that are numbers in text": y(np.array(["0", "5", "10"])[Y], names=("0", "5", "10"), note="natural order"),
    "several labels a sample": y(np.eye(3, dtype=int)[Y] | np.eye(3, dtype=int)[0], refused="choose one"),
    "probabilities": y(np.full((N, 3), 1 / 3), refused="keep y.argmax"),
    "one-hot rows as float32": y(np.eye(3, dtype=np.float32)[Y], note="one-hot"),
    "labels of three axes": y(Y[:, None, None], refused="must be one integer or text a sample"),
    "one label": y(Y * 0, refused=r"one label only, \[0\]"),
    "too many labels": y(np.r_[Y, Y], refused="one label a sample"),
    "a label a sample": y(np.arange(N), refused="too few to hold any out"),
    "too few names": Case(arrays={"class_names": np.array(["a", "b"])}, refused="there are 2 class names"),
    "a name twice": Case(arrays={"class_names": np.array(["a", "a", "c"])}, refused="two classes are named a"),
    "arrays without names": Case(arrays={"arr_0": IMAGES, "x_train": None}, refused="lacks x_train: it holds"),
    "two of a kind": Case(arrays={"X_train": IMAGES}, refused="holds both x_train and X_train"),
}

FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not a readable .npz file"),
    "a page": (b"\n<!DOCTYPE html><html>404</html>", "a web page: download the file itself"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "an array": (b"\x93NUMPY\x01\x00", "a single array: save samples and labels together"),
    "HDF5": (b"\x89HDF\r\n", "an HDF5 file"),
    "half a file": (b"PK\x03\x04", "not a readable .npz file"),
}


def check(source: DataSource, case: Case) -> None:
    if case.refused:
        with pytest.raises(InputError, match=case.refused) as error:
            load(source)
        assert "\n" not in str(error.value)
        return
    data = load(source)
    assert (data.shape, data.names) == (case.shape, case.names)
    assert case.note in " ".join(data.notes)
    assert data.sequences == (len(data.shape) == 2)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str, tmp_path: Path) -> None:
    case, path = ARRAYS[name], tmp_path / "data.npz"
    arrays: dict[str, Any] = {"x_train": IMAGES, "y_train": Y} | case.arrays
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    check(DataSource(name=str(path), **case.settings), case)


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_archives(name: str, tmp_path: Path) -> None:
    content, refused = FILES[name]
    (tmp_path / "data.npz").write_bytes(content)
    check(DataSource(name=str(tmp_path / "data.npz")), Case(refused=refused))


@pytest.mark.parametrize("name", ["http://host/data.npz", "s3://bucket/data", "hf://group/data"])
def test_addresses(name: str) -> None:
    check(DataSource(name=name), Case(refused="is an address: download"))


NAMES = {
    "": "unknown data set ''",
    "mnits": "unknown data set 'mnits': did you mean mnist",
    "/dev/null": "unknown data set '/dev/null'",
    "/nowhere/data.npz": "no data file at /nowhere/data.npz: check the path",
    "a\0b.npz": "no data file at",
}


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_of_nothing(name: str) -> None:
    check(DataSource(name=name), Case(refused=NAMES[name]))


@pytest.mark.parametrize("name", ["[red]x", "[x]", "a%20b #?", "ünï", "x" * 200, "-rf", "7"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / f"{name}.npz", x_train=IMAGES, y_train=Y)
    assert load(str(tmp_path / f"{name}.npz")).name == name


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def classes(root: Path, names: tuple[str, ...] = ("cat", "dog", "ox"), count: int = 5) -> Path:
    for name in names:
        for index in range(count):
            picture(root / name / f"{index}.png", index)
    return root


def write(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


Make = Callable[[Path], object]
PETS = ("cat", "dog", "ox")
FOLDERS: dict[str, tuple[Make, Case]] = {
    "a class that holds itself": (
        lambda root: (classes(root) / "cat" / "loop").symlink_to(root),
        Case(shape=(3, 8, 8), names=PETS),
    ),
    "a class that is a link to another": (
        lambda root: (classes(root) / "kitten").symlink_to(root / "cat"),
        Case(shape=(3, 8, 8), names=PETS, note="folder kitten, a link to the class beside it"),
    ),
    "a link to nothing": (
        lambda root: (classes(root) / "cat" / "b.png").symlink_to("/nonexistent.png"),
        Case(refused="b.png is not a readable image"),
    ),
    "half a picture": (
        lambda root: write(classes(root) / "cat" / "b.png", b"\x89PNG"),
        Case(refused="replace or delete"),
    ),
    "a page in place of a picture": (
        lambda root: write(classes(root) / "cat" / "b.jpg", b"<html>"),
        Case(refused="replace or delete it"),
    ),
    "an empty class": (lambda root: (classes(root) / "bird").mkdir(), Case(refused="class bird of .* holds no images")),
    "a class of texts": (lambda root: write(classes(root) / "bird" / "a.txt"), Case(refused=r"but 1 × .txt")),
    "object detection": (
        lambda root: (picture(root / "images" / "0.png"), write(root / "labels" / "0.txt")),
        Case(refused="as data for object detection do"),
    ),
    "object detection, in splits": (
        lambda root: (picture(root / "train2017" / "0.png"), write(root / "annotations" / "a.json")),
        Case(refused="as data for object detection do"),
    ),
    "pictures and a table of labels": (
        lambda root: (picture(root / "0.png"), write(root / "labels.csv")),
        Case(refused="put every class's images into one"),
    ),
    "unpacked twice": (
        lambda root: classes(root / "pets" / "pets"),
        Case(refused=r"give .*pets/pets, if you mean that"),
    ),
    "not unpacked": (lambda root: write(root / "pets.tar.gz"), Case(refused="unpack pets.tar.gz")),
    "half moved into a split": (
        lambda root: (classes(root), classes(root / "train", ("cat", "dog"))),
        Case(refused="class cat both beside train and in it"),
    ),
    "one class": (lambda root: classes(root, ("cat",)), Case(refused="holds 1 class folders")),
    "names in upper and lower case": (
        lambda root: classes(root, ("Cat", "cat", "ox")),
        Case(shape=(3, 8, 8), names=("Cat", "cat", "ox"), note="Cat and cat are two classes"),
    ),
    "a test split of other names": (
        lambda root: (classes(root / "train", ("Cat", "ox")), classes(root / "test", ("cat", "ox"))),
        Case(refused="is it Cat"),
    ),
    "a test split without classes": (
        lambda root: (classes(root / "train"), picture(root / "test" / "0.png")),
        Case(shape=(3, 8, 8), names=PETS, note="left out: 1 × folder test"),
    ),
    "odd names": (
        lambda root: classes(root, ("-rf", "[red]x", "a\nb", "c%20d")),
        Case(shape=(3, 8, 8), names=("-rf", "[red]x", "a\nb", "c%20d")),
    ),
    "files of notebooks and systems": (
        lambda root: (classes(root), picture(root / ".ipynb_checkpoints" / "0.png"), write(root / "cat" / "Thumbs.db")),
        Case(shape=(3, 8, 8), names=PETS, note="folder .ipynb_checkpoints"),
    ),
    "formats of cameras": (
        lambda root: (classes(root), write(root / "cat" / "a.nef"), write(root / "cat" / "b.heic")),
        Case(shape=(3, 8, 8), names=PETS, note=".nef, no picture that can be read"),
    ),
    "other sizes": (lambda root: picture(classes(root) / "ox" / "b.png", size=(8, 9)), Case(refused="data.size")),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(name: str, tmp_path: Path) -> None:
    make, case = FOLDERS[name]
    root = tmp_path / "data"
    root.mkdir()
    make(root)
    check(DataSource(name=str(root)), case)
