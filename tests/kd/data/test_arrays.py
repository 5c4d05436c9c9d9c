"""Arrays as people have them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kd.data.dataset import DataSet, DataSource, load
from space.errors import InputError

Arrays = dict[str, NDArray[Any]]


def made(sides: tuple[int, ...] = (6, 5), classes: int = 4) -> Arrays:
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (40, *sides), dtype=np.uint8),
        "y_train": np.arange(40) % classes,
        "x_test": generator.integers(0, 256, (12, *sides), dtype=np.uint8),
        "y_test": np.arange(12) % classes,
    }


def changed(arrays: Arrays, letter: str, change: Callable[[NDArray[Any]], Any]) -> Arrays:
    return {name: np.asarray(change(array)) if name[0] == letter else array for name, array in arrays.items()}


def loaded(folder: Path, arrays: Arrays, **settings: Any) -> DataSet:
    np.savez(folder / "mine.npz", **arrays)  # type: ignore[arg-type]
    return load(DataSource(name=str(folder / "mine.npz"), **settings))


def refused(folder: Path, arrays: Arrays, match: str, **settings: Any) -> None:
    with pytest.raises(InputError, match=match) as caught:
        loaded(folder, arrays, **settings)
    assert "\n" not in str(caught.value)


def text(*names: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda y: np.array(names)[y]


# --- labels


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda y: y[:, None].astype(np.uint8), ("0", "1", "2", "3")),
        (lambda y: np.eye(4)[y], ("0", "1", "2", "3")),
        (lambda y: np.eye(4, dtype=bool)[y], ("0", "1", "2", "3")),
        (lambda y: y.astype(np.float16), ("0", "1", "2", "3")),
        (lambda y: y.astype(np.uint64), ("0", "1", "2", "3")),
        (text("ant", "bee", "cat", "dog"), ("ant", "bee", "cat", "dog")),
        (lambda y: np.array([b"ant", b"bee", b"cat", b"d\xf6g"])[y], ("ant", "bee", "cat", "d\\xf6g")),
        (lambda y: np.array(["1", "2", "10", "20"])[y][:, None], ("1", "2", "10", "20")),
    ],
)
def test_labels_in_any_usual_form(
    tmp_path: Path, change: Callable[[NDArray[Any]], Any], names: tuple[str, ...]
) -> None:
    data = loaded(tmp_path, changed(made(), "y", change), validation=8)
    assert data.names == names
    assert data.test.labels.tolist() == [0, 1, 2, 3] * 3
    assert data.test.labels.dtype == torch.int64


def test_labels_may_be_true_or_false(tmp_path: Path) -> None:
    assert loaded(tmp_path, changed(made(classes=2), "y", lambda y: y > 0)).names == ("0", "1")


def test_names_may_lie_beside_the_labels(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cat", "dog"])
    assert loaded(tmp_path, {**made(), "class_names": names}).names == tuple(names)
    refused(tmp_path, {**made(), "class_names": names[:3]}, r"labels \[0, 1, 2, 3\], must be 0..2")
    refused(tmp_path, {**made(), "class_names": np.arange(4)}, "the class names are int64")
    spoken = changed(made(), "y", text("d", "c", "b", "a"))
    assert loaded(tmp_path, {**spoken, "class_names": np.array(["d", "c", "b", "a"])}).test.labels[:4].tolist() == [
        *range(4)
    ]
    refused(tmp_path, {**spoken, "class_names": names}, "the class names are .*: make them equal")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y + 2, r"labels \[2, 3, 4, 5\], must be 0..3, .* \(y = numpy.unique"),
        (lambda y: 2 * (y % 2), r"labels \[0, 2\], must be 0..1"),
        (lambda y: np.eye(4)[y] * 0.7 + 0.075, "4 columns that are not one-hot"),
        (lambda y: np.maximum(np.eye(4)[y], np.eye(4)[0]), "4 columns that are not one-hot"),
        (lambda y: y + 0.25, "no whole numbers"),
        (lambda y: np.where(y == 0, np.nan, y), "no whole numbers"),
        (lambda y: y.astype(complex), "is complex128"),
        (lambda y: np.array([{"class": int(c)} for c in y]), "holds Python objects, which are pickled"),
        (lambda y: np.stack([y, y, y], 1)[:, None], r"shape \(40, 1, 3\), must be one integer or text"),
    ],
)
def test_other_labels_are_refused_with_the_way_out(
    tmp_path: Path, change: Callable[[NDArray[Any]], Any], message: str
) -> None:
    refused(tmp_path, changed(made(), "y", change), message)


def test_labels_of_two_kinds_or_unknown_ones_are_refused(tmp_path: Path) -> None:
    arrays = made()
    refused(tmp_path, {**arrays, "y_test": arrays["y_test"].astype(str)}, "y_test is text and y_train is numbers")
    refused(
        tmp_path, {**arrays, "y_train": np.eye(4)[arrays["y_train"]], "y_test": np.eye(5)[arrays["y_test"]]}, "columns"
    )
    spoken = changed(arrays, "y", text("ant", "bee", "cat", "dog"))
    refused(
        tmp_path, {**spoken, "y_test": np.array(["emu"] * 12)}, r"y_test holds labels that y_train lacks: \['emu'\]"
    )


# --- names of arrays


@pytest.mark.parametrize(
    "name",
    [
        lambda letter, part: f"{letter.upper()}_{part}",
        lambda letter, part: f"{part}_{'images' if letter == 'x' else 'labels'}",
        lambda letter, part: f"{letter}{part}",
        lambda letter, part: f"{letter.upper()}_{part.replace('val', 'validation')}",
        lambda letter, part: f"{letter}_{part.replace('val', 'valid')}",
        lambda letter, part: f"{'data' if letter == 'x' else 'target'}_{part.replace('test', 'testing')}",
    ],
)
def test_arrays_have_many_names(tmp_path: Path, name: Callable[[str, str], str]) -> None:
    arrays = made()
    arrays |= {"x_val": arrays["x_test"][:4], "y_val": arrays["y_test"][:4]}
    expected = loaded(tmp_path, arrays)
    found = loaded(tmp_path, {name(key[0], key[2:]): array for key, array in arrays.items()} | {"ids": np.arange(3)})
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(found, part).images, getattr(expected, part).images)
        assert torch.equal(getattr(found, part).labels, getattr(expected, part).labels)
    assert any("is taken for" in note for note in found.notes)


@pytest.mark.parametrize("names", [("x", "y"), ("X", "Y"), ("data", "target"), ("images", "labels")])
def test_arrays_that_are_not_split_are(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays = made()
    data = loaded(tmp_path, {names[0]: arrays["x_train"], names[1]: arrays["y_train"]}, test=0.25, validation=6)
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [24, 6, 10]


def test_arrays_that_are_missing_or_there_twice_are_named(tmp_path: Path) -> None:
    arrays = made()
    refused(tmp_path, {**arrays, "X_train": arrays["x_train"]}, "holds both x_train and X_train: leave one")
    refused(tmp_path, {"arr_0": arrays["x_train"]}, "lacks x_train, y_train: it holds arr_0")
    refused(tmp_path, {**arrays, "x_valid": arrays["x_test"]}, "lacks y_val")


def test_another_kind_of_file_is_told_how_to_become_one(tmp_path: Path) -> None:
    for name in ("mine.csv", "mine.npy", "mine.mat", "mine.zip"):
        (tmp_path / name).write_bytes(b"1,2,3")
        with pytest.raises(InputError, match=r"mine\..* is a file that is not read: save its arrays with numpy\.savez"):
            load(DataSource(name=str(tmp_path / name)))


# --- images


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (lambda x: (x / 255).astype(np.float32), {"kind": "images"}),
        (lambda x: (x / 255).astype(np.float64), {"kind": "images", "range": "0..1"}),
        (lambda x: (x / 127.5 - 1).astype(np.float32), {"kind": "images"}),
        (lambda x: x.astype(np.float32), {"kind": "images"}),
        (lambda x: x.astype(np.int64), {}),
        (lambda x: x.astype(np.uint16) * 257, {"kind": "images", "range": "0..65535"}),
        (lambda x: x.astype(float) * 3 - 100, {"kind": "images", "range": "-100..665"}),
        (lambda x: (x / 255).astype(np.float32)[..., None], {}),
        (lambda x: x.reshape(len(x), 1, 6, 5), {}),
        (lambda x: x.astype(np.int32)[..., None], {"layout": "channels_last"}),
    ],
)
def test_the_same_images_in_other_numbers(
    tmp_path: Path, change: Callable[[NDArray[Any]], Any], settings: dict[str, str]
) -> None:
    expected = loaded(tmp_path, made())
    found = loaded(tmp_path, changed(made(), "x", change), **settings)
    assert not found.sequences
    assert torch.equal(found.test.images, expected.test.images)
    assert (found.mean, found.std) == (expected.mean, expected.std)


def test_images_in_half_precision_are_within_a_level(tmp_path: Path) -> None:
    expected = loaded(tmp_path, made()).test.images.int()
    found = loaded(tmp_path, changed(made(), "x", lambda x: (x / 255).astype(np.float16)), kind="images")
    assert (found.test.images.int() - expected).abs().max() <= 1


def test_digits_of_sixteen_levels(tmp_path: Path) -> None:
    arrays = changed(made((8, 8)), "x", lambda x: (x // 15.9).astype(float))
    assert arrays["x_train"].max() == 16
    taken = loaded(tmp_path, arrays)
    assert taken.sequences
    assert any("is taken for sequences" in note and "data.kind = images" in note for note in taken.notes)
    refused(tmp_path, arrays, r"values 0\.\.16: say which are black and white with data\.range", kind="images")
    images = loaded(tmp_path, arrays, kind="images", range="0..16")
    assert images.train.images.max() == 255
    flat = changed(arrays, "x", lambda x: x.reshape(len(x), 64))
    refused(tmp_path, flat, r"say data\.kind .* x\.reshape\(-1, 8, 8\)")
    again = loaded(tmp_path, flat, kind="images", range="0..16")
    assert torch.equal(again.test.images, images.test.images)
    dark = changed(arrays, "x", lambda x: x.astype(np.uint8))
    assert any("no pixel is brighter than 16 of 255" in note for note in loaded(tmp_path, dark).notes)


def test_images_of_two_colours(tmp_path: Path) -> None:
    data = loaded(tmp_path, changed(made(), "x", lambda x: x > 127))
    assert set(data.train.images.unique().tolist()) == {0, 255}


def test_the_axis_of_colours_can_be_said(tmp_path: Path) -> None:
    arrays = made((3, 8, 3))
    first = loaded(tmp_path, arrays)
    last = loaded(tmp_path, arrays, layout="channels_last")
    assert (first.shape, last.shape) == ((3, 8, 3), (3, 3, 8))
    assert first.digest != last.digest


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (
            lambda x: x.astype(float),
            {"kind": "images", "range": "0..1"},
            r"values 0\.\.255, outside of the range 0\.\.1",
        ),
        (lambda x: x.astype(float) * 9, {"kind": "images"}, r"values 0\.\.2295: say which are black and white"),
        (lambda x: (x - 127.0) / 50, {"kind": "images"}, "standardised ones must be brought back"),
        (lambda x: x.astype(np.int16) * 9, {}, r"is int16 .* say data\.kind"),
        (lambda x: np.where(x == x.max(), np.nan, x / 255), {"kind": "images"}, "not finite"),
        (lambda x: x.astype(float), {"kind": "images", "range": "1..0"}, r"write LOW\.\.HIGH"),
        (lambda x: x.astype(float), {"kind": "images", "range": "white"}, r"write LOW\.\.HIGH"),
        (lambda x: x.astype(float), {"kind": "images", "layout": "time_first"}, "holds images: use channels_first"),
        (lambda x: x.astype(float), {"range": "0..1"}, r"read as sequences, which have no data\.range"),
        (lambda x: x.astype(float)[..., None, None], {}, "must be numbers: images"),
        (lambda x: x.astype(str), {}, "must be numbers: images"),
        (lambda x: x.astype(complex), {}, "must be numbers: images"),
        (lambda x: x.reshape(len(x), 30), {"kind": "images"}, "which is not square"),
    ],
)
def test_other_images_are_refused_with_the_way_out(
    tmp_path: Path, change: Callable[[NDArray[Any]], Any], settings: dict[str, str], message: str
) -> None:
    refused(tmp_path, changed(made(), "x", change), message, **settings)


# --- sequences


def test_time_and_features_in_either_order(tmp_path: Path) -> None:
    arrays = changed(made((9, 3)), "x", lambda x: x / 7)
    expected = loaded(tmp_path, arrays)
    found = loaded(tmp_path, changed(arrays, "x", lambda x: x.transpose(0, 2, 1)), layout="features_first")
    assert found.shape == expected.shape == (9, 3)
    assert torch.equal(found.test.images, expected.test.images)


def test_sequences_of_one_feature_and_of_whole_numbers(tmp_path: Path) -> None:
    single = changed(made((30,)), "x", lambda x: x.astype(np.float32))
    refused(tmp_path, single, r"say data\.kind \(--kind\): sequences of one feature")
    assert loaded(tmp_path, single, kind="sequences").shape == (30, 1)
    counts = changed(made((9, 3)), "x", lambda x: x.astype(np.int16) - 128)
    assert loaded(tmp_path, counts, kind="sequences").train.images.min() < 0
    assert loaded(tmp_path, made((9, 3)), kind="sequences").sequences


def test_sequences_of_different_lengths_are_told_how_to_become_equal(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    ragged = np.empty(40, object)
    for index in range(40):
        ragged[index] = generator.normal(size=(5 + index % 7, 2))
    arrays = {**made(), "x_train": ragged, "x_test": ragged[:12]}
    refused(tmp_path, arrays, r"x_train is a list of 40 arrays .* pad sequences before you save, n = max")
    # the way out, as it is written
    from kd.data.npz import PADDING

    space: dict[str, Any] = {"numpy": np, "x": ragged}
    exec(PADDING, space)
    padded = space["x"]
    assert padded.shape == (40, 11, 2)
    np.testing.assert_array_equal(padded[0, -5:], ragged[0])
    data = loaded(tmp_path, {**arrays, "x_train": padded, "x_test": padded[:12]})
    assert data.shape == (11, 2)
    flat: dict[str, Any] = {"numpy": np, "x": [sequence[:, 0] for sequence in ragged]}
    exec(PADDING, flat)
    np.testing.assert_array_equal(flat["x"], padded[..., 0])


# --- few samples


@pytest.mark.parametrize(("samples", "expected"), [(40, 8), (25, 5), (10, 2)])
def test_little_data_holds_little_out(tmp_path: Path, samples: int, expected: int) -> None:
    arrays = made()
    arrays |= {"x_train": arrays["x_train"][:samples], "y_train": arrays["y_train"][:samples]}
    data = loaded(tmp_path, arrays)
    assert len(data.validation.labels) == expected
    told = " ".join(data.notes)
    assert f"{expected} of {samples} training samples are held out" in told
    assert f"with {expected} validation samples the standard error of an accuracy of 90 % is" in told


def test_a_class_of_one_sample_is_trained(tmp_path: Path) -> None:
    arrays = made()
    arrays["y_train"] = np.array([0] * 20 + [1] * 10 + [2] * 9 + [3])
    data = loaded(tmp_path, arrays, validation=20)
    assert torch.bincount(data.train.labels).tolist()[3] == 1
    assert any("the validation split has no sample of 3" in note for note in data.notes)


def test_what_is_possible_is_said(tmp_path: Path) -> None:
    refused(tmp_path, made(), r"hold out 1 to 36, so that every class keeps one", validation=37)
    few = {"x": made()["x_train"][:4], "y": np.arange(4)}
    refused(tmp_path, few, "4 training samples of 4 classes are too few to hold any out: add samples")
    refused(tmp_path, {"x": made()["x_train"], "y": np.arange(40) % 4}, r"data\.test = 0\.95 .*1 to 36", test=0.95)
