import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kd.data.dataset import ASSETS, DataSet, DataSource, class_counts, load
from kd.data.splits import stratified
from kd.students.evaluate import normalise
from space.errors import InputError

Arrays = dict[str, NDArray[np.generic]]


def good() -> Arrays:
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (40, 6, 5), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": generator.integers(0, 256, (8, 6, 5), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    }


def written(folder: Path, arrays: Arrays) -> DataSource:
    path = folder / "mine.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return DataSource(name=str(path), validation=8)


def test_the_shipped_mnist() -> None:
    data = load(DataSource())
    assert data.shape == (1, 28, 28)
    assert data.classes == 10
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [55_000, 5_000, 10_000]
    assert data.train.images.dtype == torch.uint8
    assert (*data.mean, *data.std) == pytest.approx((0.1307, 0.3081), abs=2e-4)
    shares = torch.bincount(data.validation.labels) / 5_000 - torch.bincount(data.train.labels) / 55_000
    assert shares.abs().max() < 2e-4
    # trained students and views belong to this split: a change of it would make them cheat
    assert data.digest == "a10ec3f20704d2c4"
    assert data.validation.labels[:12].tolist() == [1, 3, 4, 6, 6, 4, 0, 1, 6, 5, 7, 4]


def test_a_split_loses_and_doubles_nothing(small_source: DataSource, small_data: DataSet) -> None:
    with np.load(small_source.name) as archive:
        images = {image.tobytes() for image in archive["x_train"]}
    held_out, kept = (
        [bytes(image.numpy()) for image in split.images] for split in (small_data.validation, small_data.train)
    )
    assert len(held_out) == 200
    assert len(kept) == 1_000
    assert set(held_out) | set(kept) == images
    assert not set(held_out) & set(kept)


def test_mean_and_deviation_are_those_of_the_training_pixels(small_data: DataSet) -> None:
    pixels = small_data.train.images.double() / 255
    assert small_data.mean == pytest.approx([float(pixels.mean())], abs=1e-5)
    assert small_data.std == pytest.approx([float(pixels.std())], abs=1e-5)


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=6), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1), st.data()
)
def test_every_class_keeps_its_share(sizes: list[int], part: float, seed: int, data: st.DataObject) -> None:
    labels = np.array(data.draw(st.permutations([c for c, size in enumerate(sizes) for _ in range(size)])))
    count = round(part * len(labels))
    held_out = stratified(labels, count, seed)
    assert len(np.unique(held_out)) == count
    assert np.array_equal(held_out, np.sort(held_out))
    for c, size in enumerate(sizes):
        assert abs(int((labels[held_out] == c).sum()) - size * count / len(labels)) < 1
    assert np.array_equal(held_out, stratified(labels, count, seed))


def test_the_split_never_changes() -> None:
    assert stratified(np.arange(30) % 3, 7, 0).tolist() == [6, 7, 12, 14, 17, 18, 28]
    assert stratified(np.arange(30) % 3, 7, 1).tolist() == [1, 4, 5, 11, 12, 21, 24]


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_come_first(tmp_path: Path, channels: int) -> None:
    arrays = good()
    for name in ("x_train", "x_test"):
        arrays[name] = np.repeat(arrays[name][:, None], channels, axis=1)
    assert load(written(tmp_path, arrays)).shape == (channels, 6, 5)


def test_images_of_nearly_one_colour_have_a_deviation_to_divide_by(tmp_path: Path) -> None:
    arrays = good()
    arrays["x_train"] = np.zeros_like(arrays["x_train"])
    arrays["x_train"][-1, 0, 0] = 1
    assert min(load(written(tmp_path, arrays)).std) > 0


def test_channels_may_come_last(tmp_path: Path) -> None:
    arrays = good()
    first, last = dict(arrays), dict(arrays)
    for name in ("x_train", "x_test"):
        colour = np.stack([arrays[name], arrays[name] // 2, 255 - arrays[name]], axis=1)
        first[name], last[name] = colour, colour.transpose(0, 2, 3, 1)
    one, two = load(written(tmp_path, first)), load(written(tmp_path, last))
    assert one.shape == two.shape == (3, 6, 5)
    assert torch.equal(one.train.images, two.train.images)


def test_every_channel_has_its_statistics(tmp_path: Path) -> None:
    arrays = good()
    for name in ("x_train", "x_test"):
        arrays[name] = np.stack([arrays[name], arrays[name] // 8, 255 - arrays[name]], axis=1)
    data = load(written(tmp_path, arrays))
    pixels = data.train.images.double().transpose(0, 1).flatten(1) / 255
    assert data.mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-5)
    assert data.std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-5)


def test_a_validation_split_of_ones_own(tmp_path: Path) -> None:
    arrays = good()
    arrays |= {"x_val": arrays["x_test"][:5], "y_val": arrays["y_test"][:5]}
    data = load(replace(written(tmp_path, arrays), validation=10**9))
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [40, 5, 8]
    assert torch.equal(data.validation.images[:, 0], torch.from_numpy(arrays["x_val"]))
    del arrays["y_val"]
    with pytest.raises(InputError, match="lacks y_val"):
        load(written(tmp_path, arrays))


def test_sequences_are_float32_with_statistics_a_feature(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = good()
    for name, count in (("x_train", 40), ("x_test", 8)):
        arrays[name] = generator.normal([0, 1e5, 3], [1, 20, 1e-7], (count, 9, 3))
    arrays["x_train"][:, :, 2] = arrays["x_test"][:, :, 2] = 7
    data = load(written(tmp_path, arrays))
    assert data.sequences
    assert data.shape == (9, 3)
    assert data.train.images.dtype == torch.float32
    np.testing.assert_array_equal(data.test.images[:, :, 1].numpy(), arrays["x_test"][:, :, 1].astype(np.float32))
    z = normalise(data.train.images, data, torch.device("cpu")).flatten(0, 1)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(z.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), rtol=1e-3, atol=1e-6)
    assert data.train.images[..., 1].mean() > 9e4, "the data themselves are left alone"


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_sequences_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    arrays = good()
    arrays |= {name: arrays[name].astype(np.float64) for name in ("x_train", "x_test")}
    np.asarray(arrays["x_test"])[3, 2, 1] = value
    with pytest.raises(InputError, match="x_test holds values that are not finite"):
        load(written(tmp_path, arrays))


def test_every_class_keeps_a_sample_for_training(tmp_path: Path) -> None:
    arrays = good()
    arrays["y_train"] = np.minimum(np.arange(40), 3)
    data = load(replace(written(tmp_path, arrays), validation=30))
    assert class_counts(data)[:2].tolist() == [[1, 1, 1, 7], [0, 0, 0, 30]]
    assert any("validation split has no sample of 0, 1, 2" in note for note in data.notes)


def test_imbalance_is_counted(tmp_path: Path) -> None:
    arrays = good()
    arrays["y_train"] = np.array([0] * 20 + [1] * 10 + [2] * 8 + [3] * 2)
    counts = class_counts(load(replace(written(tmp_path, arrays), validation=20)))
    assert counts.tolist() == [[10, 5, 4, 1], [10, 5, 4, 1], [2, 2, 2, 2]]


def without(name: str) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.pop(name)


def replaced(name: str, change: Callable[[NDArray[np.generic]], object]) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: np.asarray(change(arrays[name]))})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("y_train"), "lacks y_train"),
        (without("x_test"), "lacks x_test"),
        (
            replaced("x_train", lambda x: x.astype(np.float32)),
            r"x_train is float32, x_test is uint8: make them equal",
        ),
        (
            replaced("x_test", lambda x: x.astype(np.int64) + 300),
            r"x_test holds values 300\.\..*, outside of the range",
        ),
        (replaced("x_train", lambda x: x.reshape(40, 30)), "x_train has shape"),
        (replaced("x_train", lambda x: x[:0]), "x_train has no samples"),
        (replaced("x_train", lambda x: np.stack([x[:, :5]] * 2, 3)), "with 2 channels use .n, channels, height, width"),
        (replaced("x_test", lambda x: x[:, :5]), "x_test images"),
        (replaced("y_train", lambda y: y[:-1]), "y_train is"),
        (
            replaced("y_train", lambda y: y.astype(float) + 0.5),
            "y_train is float64 and holds values that are no whole numbers",
        ),
        (replaced("y_test", lambda y: y[None]), "y_test has 8 columns that are not one-hot"),
        (replaced("y_train", lambda y: np.where(y == 2, 3, y)), r"y_train holds labels \[0, 1, 3\]"),
        (replaced("y_train", lambda y: y + 1), "y_test holds labels that y_train lacks"),
        (replaced("y_train", lambda y: y * 0), "y_train holds one label only"),
        (replaced("y_train", lambda y: y - 1), "y_train holds labels"),
        (replaced("y_test", lambda y: y + 3), "y_test holds labels that y_train lacks"),
        (replaced("x_train", lambda x: x.astype(object)), "x_train holds Python objects, which are pickled"),
    ],
)
def test_damaged_data_is_refused_in_one_line(tmp_path: Path, damage: Callable[[Arrays], object], message: str) -> None:
    arrays = good()
    damage(arrays)
    with pytest.raises(InputError, match=message) as caught:
        load(written(tmp_path, arrays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable"):
        load(DataSource(name=str(path)))


@pytest.mark.parametrize(
    "content", [b"hello", b"\x93NUMPY\x01\x00\x08\x00{'descr'", b"\x93NUMPY\x01\x00\x06\x00('a', \n"]
)
def test_an_npz_of_files_that_are_no_arrays_is_refused(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        for name in good():
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(InputError, match=r"holds no array x_train|not a readable \.npz file"):
        load(DataSource(name=str(tmp_path / "mine.npz")))


def test_one_array_under_the_name_of_an_npz_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "mine.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="a single array: save samples and labels together"):
        load(DataSource(name=str(tmp_path / "mine.npz")))


@pytest.mark.parametrize("place", range(100, 1_000, 100))
def test_a_damaged_compressed_npz_is_refused(tmp_path: Path, place: int) -> None:
    arrays = good()
    arrays["x_train"] = np.random.default_rng(0).integers(0, 256, arrays["x_train"].shape, np.uint8)
    np.savez_compressed(tmp_path / "mine.npz", **arrays)  # type: ignore[arg-type]
    content = bytearray((tmp_path / "mine.npz").read_bytes())
    content[place : place + 20] = bytes(20)
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(InputError):
        load(DataSource(name=str(tmp_path / "mine.npz"), validation=8))


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path, good())
    path = Path(source.name)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a readable"):
        load(source)


def test_flipped_bytes_in_an_npz_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path, good())
    content = bytearray(Path(source.name).read_bytes())
    content[400:410] = b"\xff" * 10
    Path(source.name).write_bytes(content)
    with pytest.raises(InputError):
        load(source)


def test_a_checksum_that_differs_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path, good())
    with pytest.raises(InputError, match="checksum"):
        load(DataSource(name=source.name, validation=8, sha256="0" * 64))
    with pytest.raises(InputError, match="checksum"):
        load(DataSource(sha256="0" * 64))


@pytest.mark.parametrize("name", ["mnits", "mine.csv", ""])
def test_an_unknown_data_set_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown data set"):
        load(DataSource(name=name))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data file"):
        load(DataSource(name=str(tmp_path / "none.npz")))
    with pytest.raises(InputError, match="unknown data set"):
        load(DataSource(name=str(tmp_path / "none")))


@pytest.mark.parametrize("validation", [-1, 0, 37, 40, 41])
def test_a_validation_split_that_leaves_a_side_empty_is_refused(tmp_path: Path, validation: int) -> None:
    source = written(tmp_path, good())
    with pytest.raises(InputError, match=r"data\.validation"):
        load(DataSource(name=source.name, validation=validation))


def test_the_digest_tells_files_and_splits_apart(tmp_path: Path) -> None:
    first = written(tmp_path, good())
    sources = [first, DataSource(name=first.name, validation=9), DataSource(name=first.name, validation=8, seed=1)]
    digests = [load(source).digest for source in sources]
    written(tmp_path, good() | {"y_test": np.zeros(8, dtype=int)})
    digests.append(load(first).digest)
    assert len(set(digests)) == 4


def test_the_source_and_licence_of_shipped_data_are_told() -> None:
    text = (ASSETS / "README.md").read_text()
    assert "CC BY-SA 3.0" in text
    assert "LeCun" in text


def test_rows_lead_back_to_the_training_split_of_the_file(tmp_path: Path, small_source: DataSource) -> None:
    with np.load(small_source.name) as archive:
        arrays = {name: archive[name] for name in archive}
    held_out = load(small_source)
    assert (held_out.given, len(held_out.rows)) == (1_200, 1_000)
    own = {"x_val": arrays["x_test"][:100], "y_val": arrays["y_test"][:100]}
    with_own = load(written(tmp_path, arrays | own))
    assert torch.equal(with_own.rows, torch.arange(1_200))
    for data in (held_out, with_own):
        assert np.array_equal(arrays["x_train"][data.rows], data.train.images[:, 0])
        assert np.array_equal(arrays["y_train"][data.rows], data.train.labels)
