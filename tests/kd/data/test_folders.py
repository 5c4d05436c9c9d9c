"""Folders of pictures as people have them."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kd.data.classes import natural
from kd.data.dataset import DataSource, load
from kd.data.folders import read
from kd.data.pictures import suffixes
from space.errors import InputError

SIDE = 8


def fill(root: Path, *folders: str, count: int = 6, suffix: str = ".png", colour: int = 0) -> None:
    """Put `count` pictures into each of these folders; each folder has a grey of its own, from `colour` on."""
    for index, name in enumerate(folders):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.full((SIDE, SIDE, 3), colour + 20 * index + number, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}{suffix}")


def refused(root: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read(root, None)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "Dev", "Test"),
    ],
)
def test_splits_have_many_names(tmp_path: Path, train: str, validation: str, test: str) -> None:
    for name, count in ((train, 6), (validation, 3), (test, 4)):
        fill(tmp_path / name, "cat", "dog", count=count)
    arrays = read(tmp_path, None).arrays
    assert [len(arrays[f"y_{part}"]) for part in ("train", "val", "test")] == [12, 6, 8]


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("train", "val", "valid"):
        fill(tmp_path / name, "cat", "dog")
    refused(tmp_path, "holds both val and valid: leave one")


def test_a_missing_test_split_is_held_out(tmp_path: Path) -> None:
    fill(tmp_path / "train", "cat", "dog", count=10)
    fill(tmp_path / "valid", "cat", "dog", count=2)
    data = load(DataSource(name=str(tmp_path), test=0.3))
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [14, 4, 6]
    assert any("6 of 20 samples are held out" in note for note in data.notes)


def test_pictures_may_lie_deeper(tmp_path: Path) -> None:
    fill(tmp_path / "train", "n01/images", "n02/images/2019/05")
    fill(tmp_path / "test", "n01", "n02", count=2)
    raw = read(tmp_path, None)
    assert raw.names == ("n01", "n02")
    assert np.bincount(raw.arrays["y_train"]).tolist() == [6, 6]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, "bus", "car", "train")
    assert read(tmp_path, None).names == ("bus", "car", "train")
    fill(tmp_path, "train/close", "train/far")
    assert read(tmp_path, None).names == ("bus", "car", "train")


@pytest.mark.parametrize("classes", [("dev", "ops"), ("test", "mock"), ("train/images", "bus/images")])
def test_classes_may_be_called_as_splits_are(tmp_path: Path, classes: tuple[str, str]) -> None:
    fill(tmp_path, *classes)
    assert set(read(tmp_path, None).names) == {name.partition("/")[0] for name in classes}


def test_splits_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train", "test")
    refused(tmp_path, "their pictures are not in class folders")


def test_what_operating_systems_leave_is_skipped_and_told(tmp_path: Path) -> None:
    fill(tmp_path, "cat", "dog", "__MACOSX/cat", ".Trash", "@eaDir", "cat/.thumbnails")
    for name in ("cat/._0.png", "dog/.DS_Store", "dog/Thumbs.db", "cat/desktop.ini", ".DS_Store", "dog/notes.txt"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    raw = read(tmp_path, None)
    assert (raw.names, len(raw.arrays["y_train"])) == (("cat", "dog"), 12)
    told = " ".join(raw.notes)
    for words in ("folder __MACOSX", "4 × file, hidden or of the operating system", "1 × .txt, no picture", "@eaDir"):
        assert words in told


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("runs", ["mnist/study.db", "mnist/report/front.png"]),
        ("results", ["mine/study.db"]),
        ("teachers", ["pets.safetensors", "pets.json"]),
        ("models", ["pets.safetensors"]),
        ("runs", []),
        ("teachers", []),
    ],
)
def test_our_own_folders_are_no_classes(tmp_path: Path, own: str, files: list[str]) -> None:
    fill(tmp_path, "cat", "dog")
    before = read(tmp_path, None).checksum
    (tmp_path / own).mkdir()
    for name in files:
        path = tmp_path / own / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    raw = read(tmp_path, None)
    assert (raw.names, raw.checksum) == (("cat", "dog"), before)
    assert any(f"wunderkind's own folder {own}" in note for note in raw.notes)


def test_a_class_may_be_called_teachers(tmp_path: Path) -> None:
    fill(tmp_path, "pupils", "teachers")
    assert read(tmp_path, None).names == ("pupils", "teachers")


def test_classes_are_in_natural_order_and_it_is_told(tmp_path: Path) -> None:
    fill(tmp_path, *(str(number) for number in range(1, 13)))
    raw = read(tmp_path, None)
    assert raw.names == tuple(str(number) for number in range(1, 13))
    assert any(note.startswith("classes are in natural order: 1, 2, 3") for note in raw.notes)
    assert natural(["img12", "img2", "IMG1", "10", "9b", "9a", "²", "01", "1"]) == [
        *("01", "1", "9a", "9b", "10", "IMG1", "img2", "img12", "²"),
    ]


def test_the_same_name_in_another_unicode_form_is_the_same_class(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFC", name) for name in ("Bär", "Löwe")]
    fill(tmp_path / "train", *names, count=3)
    fill(tmp_path / "test", *(unicodedata.normalize("NFD", name) for name in names), count=3)
    raw = read(tmp_path, None)
    assert raw.names == tuple(names)
    assert raw.arrays["y_test"].tolist() == [0, 0, 0, 1, 1, 1]


def test_names_that_are_no_utf8_can_be_printed(tmp_path: Path) -> None:
    fill(tmp_path, "cat", os.fsdecode(b"L\xf6we"))
    raw = read(tmp_path, None)
    assert raw.names == ("L\\xf6we", "cat")
    (tmp_path / os.fsdecode(b"L\xf6we") / "0.png").write_bytes(b"no picture")
    refused(tmp_path, "L\\\\xf6we/0.png is not a readable image")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_viewers_show_them(tmp_path: Path, orientation: int) -> None:
    upright = np.full((SIDE, SIDE + 4, 3), 20, np.uint8)
    upright[:, :4] = 230
    upright[:3] = 120
    # how a camera stores what it saw: the inverse of what the flag asks for
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name / "turned.png", exif=exif)
        Image.fromarray(upright).save(tmp_path / name / "upright.png")
    raw = read(tmp_path, None)
    assert all(np.array_equal(picture, upright) for picture in raw.arrays["x_train"])
    assert any("2 of 4 pictures are turned" in note for note in raw.notes) == (orientation > 1)


def test_damaged_exif_of_a_sound_picture_does_no_harm(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b", suffix=".jpg")
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "a" / "odd.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert len(read(tmp_path, None).arrays["y_train"]) == 13


@pytest.mark.parametrize("suffix", [".JPG", ".jfif", ".webp", ".tga", ".pcx", ".ico", ".jp2", ".dds", ".qoi", ".avif"])
def test_every_format_that_pillow_reads(tmp_path: Path, suffix: str) -> None:
    if suffix.lower() not in suffixes() or Image.registered_extensions()[suffix.lower()] not in Image.SAVE:
        pytest.skip("this Pillow was built without it")
    fill(tmp_path, "a", "b", suffix=suffix)
    assert len(read(tmp_path, (SIDE, SIDE)).arrays["y_train"]) == 12


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b", suffix=".gif")
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "b" / "moving.gif", save_all=True, append_images=frames[1:])
    raw = read(tmp_path, None)
    assert raw.arrays["x_train"][-1, 0, 0].tolist() == [255, 0, 0]
    assert any("1 of 13 pictures hold several frames" in note for note in raw.notes)


def drop(root: Path, *names: str) -> None:
    for name in names:
        for path in (root / name).iterdir():
            path.unlink()


def not_readable(root: Path) -> None:
    drop(root, "dog")
    (root / "dog" / "photo.heic").write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: drop(root, "dog"), "class dog of .* holds no images: add some, or remove it"),
        (not_readable, r"class dog of .* holds no images that can be read \(but 1 × .heic"),
        (lambda root: (root / "cat" / "0.png").write_bytes(b"GIF89a"), "0.png is not a readable image"),
        (lambda root: Image.new("RGB", (5, 9)).save(root / "dog" / "9.png"), "dog/9.png is 5×9, .*: make them equal"),
        (lambda root: (root / "cat").rename(root / "dog" / "cat"), "holds 1 class folders for training"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    fill(tmp_path, "cat", "dog")
    change(tmp_path)
    refused(tmp_path, message)


def test_the_folder_that_is_meant_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "download" / "pets", "cat", "dog")
    refused(tmp_path / "download", "holds 1 class folders for training: give .*pets, if you mean that")
    fill(tmp_path / "split" / "test", "cat", "dog")
    refused(tmp_path / "split", "has test but no train: add it")
    fill(tmp_path / "split" / "train", "Cat", "dog")
    refused(tmp_path / "split", "the test split of .* holds class cat, its training split does not: is it Cat?")


def test_a_link_that_leads_back_is_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    assert len(read_without(tmp_path, "elsewhere")) == 12


def read_without(root: Path, name: str) -> torch.Tensor:
    (root / name).rmdir()
    return torch.from_numpy(read(root, None).arrays["x_train"])


def test_stray_pictures_and_folders_are_told(tmp_path: Path) -> None:
    for part in ("train", "test"):
        fill(tmp_path / part, "cat", "dog")
    fill(tmp_path, "unlabelled")
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "train" / "overview.png")
    told = " ".join(read(tmp_path, None).notes)
    assert "folder unlabelled, beside the splits" in told
    assert "1 × picture beside the class folders in train" in told


def test_arrays_settings_are_refused_for_folders(tmp_path: Path) -> None:
    fill(tmp_path, "cat", "dog")
    with pytest.raises(InputError, match=r"data\.kind, data\.layout, data\.range are of arrays"):
        load(DataSource(name=str(tmp_path), kind="images"))
