import hashlib
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kd import teacher as teachers
from kd.augment import Augmentation
from kd.data import DataSet, DataSource
from kd.views import CLEAN, View, ViewSource, make_view, missing, open_view


def pairs(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[bytes, int]]:
    """Images with their labels, in an order that does not depend on theirs."""
    return sorted((bytes(image.numpy()), int(label)) for image, label in zip(images, labels, strict=True))


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def opened(source: ViewSource, index: int) -> View:
    return open_view(source.folder(), index)


def test_the_clean_view_is_the_training_split_shuffled(small_views: ViewSource, small_data: DataSet) -> None:
    view = opened(small_views, CLEAN)
    assert pairs(view.images, view.labels) == pairs(small_data.train.images, small_data.train.labels)
    assert not torch.equal(view.labels, small_data.train.labels)


@pytest.mark.parametrize("index", [CLEAN, 0, 1])
def test_logits_are_the_teachers_for_exactly_the_stored_pixels(small_views: ViewSource, index: int) -> None:
    view = opened(small_views, index)
    assert (view.images.dtype, view.labels.dtype, view.logits.dtype) == (torch.uint8, torch.int64, torch.float16)
    teacher = teachers.load(Path(small_views.teacher), torch.device("cpu"))
    expected = teachers.teacher_logits(teacher, view.images.float() / 255)
    # the views of a machine that computes faster in bfloat16 are made in bfloat16
    torch.testing.assert_close(view.logits.float(), expected, rtol=0.03, atol=0.2)
    assert (view.logits.argmax(1) == expected.argmax(1)).float().mean() > 0.995


def test_augmented_views_keep_labels_and_differ(small_views: ViewSource, small_data: DataSet) -> None:
    first, second = opened(small_views, 0), opened(small_views, 1)
    expected = torch.bincount(small_data.train.labels)
    assert torch.equal(torch.bincount(first.labels), expected)
    assert torch.equal(torch.bincount(second.labels), expected)
    originals = {image for image, _ in pairs(small_data.train.images, small_data.train.labels)}
    moved = [image for image, _ in pairs(first.images, first.labels) + pairs(second.images, second.labels)]
    assert len(set(moved)) == len(moved)
    assert not originals & set(moved)


def test_a_view_lies_shuffled(small_views: ViewSource, small_data: DataSet) -> None:
    # a batch is a slice, so a slice must hold a mix of classes
    labels = opened(small_views, 0).labels
    assert all(len(part.unique()) >= 8 for part in labels.split(100))


def test_views_that_exist_are_used_again(small_views: ViewSource) -> None:
    assert missing(small_views, 2) == []
    assert missing(small_views, 4) == [2, 3]
    before = {path: path.stat().st_mtime_ns for path in small_views.folder().rglob("*")}
    make_view(small_views, 0, "cpu")
    assert {path: path.stat().st_mtime_ns for path in small_views.folder().rglob("*")} == before


def test_the_same_view_is_made_again_bit_for_bit(small_views: ViewSource, tmp_path: Path) -> None:
    again = replace(small_views, cache=str(tmp_path))
    make_view(again, 1, "cpu")
    assert again.folder().name == small_views.folder().name
    for part in ("images", "labels"):
        assert torch.equal(getattr(opened(again, 1), part), getattr(opened(small_views, 1), part))


def test_a_full_disk_leaves_nothing(small_views: ViewSource, tmp_path: Path) -> None:
    source = replace(small_views, cache=str(tmp_path))
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="written"):
            make_view(source, 0, "cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(source.folder().iterdir()) == []
    assert 0 in missing(source, 1)


def test_views_cannot_be_changed_through_an_open_one(small_views: ViewSource) -> None:
    before = contents(small_views.folder())
    view = opened(small_views, 0)
    view.images.zero_()
    view.logits.zero_()
    assert contents(small_views.folder()) == before


def test_whatever_decides_over_the_content_decides_over_the_folder(small_views: ViewSource, tmp_path: Path) -> None:
    other_teacher = tmp_path / "other.safetensors"
    other_teacher.write_bytes(b"another teacher")
    folders = {
        source.folder().name
        for source in (
            small_views,
            replace(small_views, seed=1),
            replace(small_views, augmentation=Augmentation(rotation=1)),
            replace(small_views, data=replace(small_views.data, seed=1)),
            replace(small_views, teacher=str(other_teacher)),
        )
    }
    assert len(folders) == 5
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(Path(small_views.teacher).read_bytes())
    assert replace(small_views, teacher=str(renamed)).folder() == small_views.folder()


def test_another_data_file_of_the_same_name_has_other_views(small_source: DataSource, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(Path(small_source.name).read_bytes())
    teacher = tmp_path / "teacher.safetensors"
    teacher.write_bytes(b"a teacher")
    source = ViewSource(
        cache=str(tmp_path),
        data=replace(small_source, name=str(path)),
        teacher=str(teacher),
        augmentation=Augmentation(),
    )
    before = source.folder()
    with np.load(small_source.name) as archive:
        arrays = {name: archive[name] for name in archive}
    arrays["x_train"] = arrays["x_train"][:, ::-1]
    np.savez(path, **arrays)
    assert source.folder() != before
