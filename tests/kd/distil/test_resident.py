"""What is kept between tasks."""

import os
from pathlib import Path

import torch

from kd.data.dataset import DataSet
from kd.distil.resident import memory_of, resident_split, resident_view
from kd.distil.views import ViewSource, make_view, open_view, view_source
from kd.files import MANIFEST

CPU = torch.device("cpu")


def test_a_small_view_stays_until_it_is_written_anew(
    small_views: ViewSource, small_data: DataSet, tmp_path: Path
) -> None:
    source = view_source(tmp_path, small_data, small_views.teacher, small_views.augmentation)
    make_view(source, 0, "cpu", small_data)
    assert memory_of(CPU) == 0
    bytes_of = sum(part.nbytes for part in open_view(source, 0).parts())
    first = resident_view(source, 0, CPU, 200 * bytes_of)
    assert resident_view(source, 0, CPU, 200 * bytes_of) is first
    assert resident_view(source, 0, CPU, 100 * bytes_of) is not first
    os.utime(source.view(0) / MANIFEST, (1, 1))
    again = resident_view(source, 0, CPU, 200 * bytes_of)
    assert again is not first
    assert all(torch.equal(a, b) for a, b in zip(first.parts(), again.parts(), strict=True))


def test_the_validation_split_stays(small_data: DataSet) -> None:
    assert resident_split(small_data.validation, CPU) is resident_split(small_data.validation, CPU)
    assert resident_split(small_data.test, CPU).images is small_data.test.images
