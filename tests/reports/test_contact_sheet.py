from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kd.data.dataset import DataSet
from reports.contact_sheet import HEAD, LABEL, contact_sheet, write_contact_sheet
from space.errors import InputError


def test_every_class_has_a_row_of_its_samples(small_data: DataSet, tmp_path: Path) -> None:
    write_contact_sheet(small_data, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    for row in (0, 9):
        sample = small_data.train.images[small_data.train.labels == row][0, 0].numpy()
        enlarged = np.asarray(Image.fromarray(sample).resize((64, 64), Image.Resampling.NEAREST))
        top = HEAD + row * 68
        assert np.array_equal(sheet[top : top + 64, LABEL : LABEL + 64], enlarged)
    changed = sheet[HEAD : HEAD + 64, LABEL + 8 * 68 + 12 :][:, :64]
    assert not np.array_equal(changed, sheet[HEAD : HEAD + 64, LABEL : LABEL + 64])
    assert changed.max() > 200


def test_sequences_are_drawn_as_lines(sequences: DataSet) -> None:
    sheet = np.asarray(contact_sheet(sequences))
    assert sheet.shape[1] < LABEL + 9 * 132, "sequences are not augmented unless it is asked for"
    first = sheet[HEAD : HEAD + 64, LABEL : LABEL + 128].reshape(-1, 3)
    assert len(np.unique(first, axis=0)) > 3


def test_colours_and_other_numbers_of_channels(colours: DataSet) -> None:
    sheet = np.asarray(contact_sheet(colours)).astype(int)
    assert np.abs(sheet[..., 0] - sheet[..., 1]).max() > 50
    two = replace(
        colours, train=replace(colours.train, images=colours.train.images[:, :2]), mean=(0.5,) * 2, std=(1.0,) * 2
    )
    assert contact_sheet(two).size == contact_sheet(colours).size


def test_many_classes_are_cut(small_data: DataSet) -> None:
    labels = torch.arange(len(small_data.train.labels)) % 40
    names = tuple(f"class of a very long name {c}" for c in range(40))
    many = replace(small_data, names=names, train=replace(small_data.train, labels=labels))
    assert contact_sheet(many).height == HEAD + 24 * 68 + HEAD


def test_a_file_that_is_no_picture_is_refused(small_data: DataSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.txt' is no format of pictures, use \.png"):
        write_contact_sheet(small_data, tmp_path / "sheet.txt")
