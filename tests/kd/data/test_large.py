"""Data too large for memory: prepared on the disk, and the same to the bit."""

import gzip
import mmap
import struct
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from kd.data import dataset as datasets
from kd.data import idx, mapped, npz, pictures
from kd.data.augmentation import NO_AUGMENTATION, Augmentation
from kd.data.dataset import DataSet, DataSource, gathered, load
from kd.distil import views
from kd.distil.views import UNAUGMENTED, make_view, open_view, view_bytes, view_source
from kd.teachers.source import TeacherSource
from space.errors import InputError

COUNT = 240


def images(channels_last: bool = True) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(1)
    x = generator.integers(0, 256, (COUNT, 12, 12, 3) if channels_last else (COUNT, 3, 12, 12), dtype=np.uint8)
    return {"x_train": x, "y_train": np.arange(COUNT) % 4}


def stored(folder: Path) -> DataSource:
    np.savez(folder / "mine.npz", **images())  # type: ignore[arg-type]
    return DataSource(name=str(folder / "mine.npz"))


def compressed(folder: Path) -> DataSource:
    np.savez_compressed(folder / "mine.npz", **images())  # type: ignore[arg-type]
    return DataSource(name=str(folder / "mine.npz"))


def floats(folder: Path) -> DataSource:
    arrays = images()
    np.savez(folder / "mine.npz", x_train=(arrays["x_train"] / 255).astype(np.float32), y_train=arrays["y_train"])
    return DataSource(name=str(folder / "mine.npz"))


def in_fortran_order(folder: Path) -> DataSource:
    arrays = images(channels_last=False)
    np.savez(folder / "mine.npz", x_train=np.asfortranarray(arrays["x_train"]), y_train=arrays["y_train"])
    return DataSource(name=str(folder / "mine.npz"))


def sequences(folder: Path) -> DataSource:
    generator = np.random.default_rng(2)
    np.savez(folder / "mine.npz", x_train=generator.normal(size=(COUNT, 40, 7)), y_train=np.arange(COUNT) % 4)
    return DataSource(name=str(folder / "mine.npz"))


def coloured_folder(folder: Path) -> DataSource:
    return folder_of(folder, lambda index: images()["x_train"][index])


def grey_folder(folder: Path) -> DataSource:
    return folder_of(folder, lambda index: images()["x_train"][index, :, :, 0])


def mixed_folder(folder: Path) -> DataSource:
    """Grey pictures, and one in colour that comes late."""
    return folder_of(folder, lambda index: images()["x_train"][index] if index == 203 else np.full((12, 12), index))


def folder_of(folder: Path, picture: Callable[[int], NDArray[Any]]) -> DataSource:
    for index in range(COUNT):
        path = folder / "pictures" / f"class {index % 4}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(index).astype(np.uint8)).save(path)
    return DataSource(name=str(folder / "pictures"))


def idx_folder(folder: Path, packed: bool = False) -> DataSource:
    (folder / "idx").mkdir()
    arrays = images()
    for name, array in (
        ("train-images-idx3-ubyte", arrays["x_train"][:, :, :, 0]),
        ("train-labels-idx1-ubyte", arrays["y_train"].astype(np.uint8)),
        ("t10k-images-idx3-ubyte", arrays["x_train"][:40, :, :, 1]),
        ("t10k-labels-idx1-ubyte", arrays["y_train"][:40].astype(np.uint8)),
    ):
        content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
        path = folder / "idx" / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return DataSource(name=str(folder / "idx"))


def packed_idx_folder(folder: Path) -> DataSource:
    return idx_folder(folder, packed=True)


SOURCES = [
    stored,
    compressed,
    floats,
    in_fortran_order,
    sequences,
    coloured_folder,
    grey_folder,
    mixed_folder,
    idx_folder,
    packed_idx_folder,
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "prepared"


@pytest.fixture
def all_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (datasets, mapped, npz, idx, pictures, views):
        monkeypatch.setattr(module, "LARGE", 2_000)
    monkeypatch.setattr(mapped, "PART", 10_000)


def same(one: DataSet, other: DataSet) -> bool:
    plain = [field.name for field in fields(DataSet) if field.name not in ("train", "validation", "test", "rows")]
    splits = [(one.train, other.train), (one.validation, other.validation), (one.test, other.test)]
    return (
        all(getattr(one, name) == getattr(other, name) for name in plain)
        and torch.equal(one.rows, other.rows)
        and all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in splits)
        and all(a.images.dtype == b.images.dtype and a.images.is_contiguous() for a, b in splits)
    )


@pytest.mark.parametrize("make", SOURCES, ids=lambda make: make.__name__)
def test_large_data_are_the_same_to_the_bit_and_shared(
    tmp_path: Path, cache: Path, request: pytest.FixtureRequest, make: Callable[[Path], DataSource]
) -> None:
    source = make(tmp_path)
    small = load(source)
    assert small.train.mapping is None
    assert not cache.exists()
    request.getfixturevalue("all_is_large")
    large = load(source)
    # sums of sequences are taken in other parts, and round otherwise
    assert large.mean == pytest.approx(small.mean, rel=1e-12)
    assert large.std == pytest.approx(small.std, rel=1e-12)
    assert make is sequences or (large.mean, large.std) == (small.mean, small.std)
    assert same(replace(large, mean=small.mean, std=small.std), small)
    assert isinstance(large.train.mapping, mmap.mmap)
    assert not [path for path in cache.iterdir() if path.name.endswith(".draft")]
    again = load(source)
    assert same(again, large)
    assert isinstance(again.test.mapping, mmap.mmap)


@pytest.mark.usefixtures("all_is_large")
def test_what_was_prepared_is_found_without_reading_the_source_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = compressed(tmp_path)
    first = load(source)
    monkeypatch.setattr(datasets, "read", None)
    assert same(load(source), first)
    monkeypatch.undo()
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [first.digest]


@pytest.mark.usefixtures("all_is_large")
def test_another_content_under_the_same_name_is_read_anew(tmp_path: Path, cache: Path) -> None:
    source = stored(tmp_path)
    first = load(source)
    arrays = images()
    np.savez(source.name, x_train=255 - arrays["x_train"], y_train=arrays["y_train"])
    second = load(source)
    assert second.digest != first.digest
    assert not torch.equal(second.train.images, first.train.images)


@pytest.mark.usefixtures("all_is_large")
@pytest.mark.parametrize("harm", ["cut", "empty", "removed", "foreign"])
def test_a_damaged_file_is_made_again(tmp_path: Path, cache: Path, harm: str) -> None:
    source = stored(tmp_path)
    first = load(source)
    victim = next(cache.glob("*/x_train.npy"))
    content = victim.read_bytes()
    victim.unlink()
    if harm != "removed":
        victim.write_bytes({"cut": content[:-100], "empty": b"", "foreign": b"not ours"}[harm])
    again = load(source)
    assert same(again, first)
    assert victim.read_bytes() == content


@pytest.mark.usefixtures("all_is_large")
def test_a_damaged_archive_is_noticed_though_it_is_mapped(tmp_path: Path, cache: Path) -> None:
    source = stored(tmp_path)
    content = bytearray(Path(source.name).read_bytes())
    content[2_000] ^= 1
    Path(source.name).write_bytes(content)
    with pytest.raises(InputError, match=r"mine.npz is not a readable .npz file \(Bad CRC-32"):
        load(source)


@pytest.mark.usefixtures("all_is_large")
def test_a_disk_without_room_is_told_beforehand(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = stored(tmp_path)
    monkeypatch.setattr(mapped, "free_bytes", lambda place: 50_000)
    with pytest.raises(
        InputError, match=r"take 0\.0 GB more in .*prepared, 0\.0 GB are free: make room, or set WUNDER"
    ):
        load(source)
    assert not list(cache.glob("*.json"))


@pytest.mark.usefixtures("all_is_large")
def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written .*: set WUNDERKIND_DATA to a folder that can"):
        load(stored(tmp_path))


@pytest.mark.parametrize("index", [UNAUGMENTED, 0])
@pytest.mark.parametrize("with_validation", [False, True])
def test_views_of_large_data_are_the_same_to_the_bit(
    tmp_path: Path, cache: Path, request: pytest.FixtureRequest, index: int, with_validation: bool
) -> None:
    source = stored(tmp_path)
    torch.manual_seed(0)
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 4))
    found = []
    for place in ("small", "large"):
        if place == "large":
            request.getfixturevalue("all_is_large")
        data = load(source)
        family = view_source(
            tmp_path / place,
            data,
            TeacherSource(models=("mine",)),
            Augmentation(mixup=0.4) if index == 0 else NO_AUGMENTATION,
            with_validation=with_validation,
            fingerprint="f",
        )
        make_view(family, index, "cpu", data, teacher)
        found.append(open_view(family, index))
        on_disk = sum(path.stat().st_size for path in family.view(index).glob("*.npy"))
        assert view_bytes(family, data) == on_disk - 3 * 128
    small, large = found
    assert small.mappings == ()
    assert large.mappings != ()
    large.release()
    assert all(torch.equal(a, b) for a, b in zip(small.parts(), large.parts(), strict=True))


def test_samples_are_gathered_over_splits_that_follow_each_other(small_data: DataSet) -> None:
    places = torch.randperm(1_200, generator=torch.Generator().manual_seed(0))[:300]
    found = gathered((small_data.train, small_data.validation), places)
    images, labels = (
        torch.cat([getattr(split, part) for split in (small_data.train, small_data.validation)])
        for part in ("images", "labels")
    )
    assert torch.equal(found.images, images[places])
    assert torch.equal(found.labels, labels[places])


def test_memory_that_was_read_is_given_back(tmp_path: Path) -> None:
    """64 MB are read, and do not stay."""
    path = tmp_path / "large.npy"
    np.save(path, np.ones((1_000, 64_000), np.uint8))
    array = mapped.mapped(path)
    process = psutil.Process()
    before = process.memory_full_info().pss
    assert int(array.sum(dtype=np.int64)) == 64_000_000
    held = process.memory_full_info().pss - before
    assert sum(int(part.sum(dtype=np.int64)) for part in mapped.parts(array)) == 64_000_000
    left = process.memory_full_info().pss - before
    assert held > 50e6
    assert left < 20e6
