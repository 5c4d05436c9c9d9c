"""Pictures and arrays that a student is asked about: the same samples whatever form they come in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kd.data.dataset import DataSet
from kd.data.inputs import inverted, lightness_note, read_inputs
from kd.data.samples import Form
from space.errors import InputError

GREY = (1, 28, 28)


def test_pictures_of_any_mode_are_the_pixels_that_were_saved(tmp_path: Path, small_data: DataSet) -> None:
    pixels = small_data.test.images[0, 0].numpy()
    paths = [tmp_path / name for name in ("grey.png", "colour.png", "colour.bmp")]
    for path in paths:
        Image.fromarray(pixels).convert("L" if path.stem == "grey" else "RGB").save(path)
    found = read_inputs(paths, GREY, Form())
    assert found.names == tuple(map(str, paths))
    assert found.notes == ()
    assert all(torch.equal(sample, small_data.test.images[0]) for sample in found.samples)
    assert torch.equal(
        read_inputs(paths[:1], (3, 28, 28), Form()).samples[0], torch.from_numpy(pixels).expand(3, -1, -1)
    )


@pytest.mark.parametrize("form", ["one", "several", "channels", "flat", "share", "channels last"])
def test_arrays_of_any_form_are_the_same_samples(form: str, tmp_path: Path, small_data: DataSet) -> None:
    images = small_data.test.images[:3].numpy()
    array = {
        "one": images[0, 0],
        "several": images[:, 0],
        "channels": images[0],
        "flat": images.reshape(3, -1),
        "share": images[:, 0] / 255,
        "channels last": images.transpose(0, 2, 3, 1),
    }[form]
    np.save(tmp_path / "a.npy", array)
    found = read_inputs([tmp_path / "a.npy"], GREY, Form())
    assert torch.equal(found.samples, small_data.test.images[: len(found.names)])
    assert len(found.names) == (1 if form in ("one", "channels") else 3)


def test_a_picture_of_another_size_is_resized_and_that_is_told(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 20), 9, np.uint8)).save(tmp_path / "tall.png")
    found = read_inputs([tmp_path / "tall.png"], GREY, Form())
    assert found.samples.shape == (1, 1, 28, 28)
    assert found.notes == (f"{tmp_path / 'tall.png'} is resized from 20×40 to 28×28",)


def test_black_for_white_is_noticed(tmp_path: Path, small_data: DataSet) -> None:
    Image.fromarray(255 - small_data.test.images[0, 0].numpy()).save(tmp_path / "ink.png")
    found = read_inputs([tmp_path / "ink.png"], GREY, Form())
    assert "--invert" in lightness_note(found.samples, small_data.mean)[0]
    assert torch.equal(inverted(found).samples[0], small_data.test.images[0])
    assert lightness_note(inverted(found).samples, small_data.mean) == ()


@pytest.mark.parametrize("shape", [(7, 3), (7, 1)], ids=str)
def test_sequences_come_alone_or_together(shape: tuple[int, int], tmp_path: Path) -> None:
    several = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    np.save(tmp_path / "one.npy", several[0])
    np.save(tmp_path / "several.npy", several if shape[1] > 1 else several[..., 0])
    found = read_inputs([tmp_path / "one.npy", tmp_path / "several.npy"], shape, Form())
    assert torch.equal(found.samples, torch.from_numpy(np.concatenate([several[:1], several])))


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("none.png", GREY, "no picture or array at"),
        ("none.npy", GREY, "no picture or array at"),
        ("text.txt", GREY, "is a file that is not read"),
        ("text.npy", GREY, "not a readable .npy file"),
        ("picture.png", (7, 3), r"is a picture, the student takes sequences: give an array \(7, 3\)"),
        ("picture.png", (2, 28, 28), "the student takes 2 channels"),
        ("picture.npy", (1, 9, 9), r"its samples are \(1, 28, 28\), the student takes \(1, 9, 9\)"),
        ("pickled.npy", GREY, "not a readable .npy file"),
        ("nan.npy", (7, 3), "holds values that are not finite"),
    ],
)
def test_what_cannot_be_read_is_one_line(name: str, shape: tuple[int, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("7")
    (tmp_path / "text.npy").write_text("7")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "picture.png")
    np.save(tmp_path / "picture.npy", np.zeros((28, 28), np.uint8))
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object))
    np.save(tmp_path / "nan.npy", np.full((7, 3), np.nan))
    with pytest.raises(InputError, match=words) as error:
        read_inputs([tmp_path / name], shape, Form())
    assert "\n" not in str(error.value)
    assert "x_train" not in str(error.value)
