import hashlib
import pickle
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kd.data.augmentation import NO_AUGMENTATION, Augmentation, augment
from kd.data.dataset import DataSet, DataSource, load
from kd.distil.views import UNAUGMENTED, View, ViewSource, make_view, missing, open_view, view_of, view_source
from kd.optim.recipe import Recipe
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from space.errors import InputError


def pairs(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[bytes, int]]:
    """Images with their labels, in an order that does not depend on theirs."""
    return sorted((bytes(image.numpy()), int(label)) for image, label in zip(images, labels, strict=True))


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def opened(source: ViewSource, index: int) -> View:
    return open_view(source, index)


def test_the_unaugmented_view_is_the_training_split_shuffled(small_views: ViewSource, small_data: DataSet) -> None:
    view = opened(small_views, UNAUGMENTED)
    assert pairs(view.images, view.labels) == pairs(small_data.train.images, small_data.train.labels)
    assert not torch.equal(view.labels, small_data.train.labels)


@pytest.mark.parametrize("index", [UNAUGMENTED, 0, 1])
def test_logits_are_the_teachers_for_exactly_the_stored_pixels(small_views: ViewSource, index: int) -> None:
    view = opened(small_views, index)
    assert (view.images.dtype, view.labels.dtype, view.logits.dtype) == (torch.uint8, torch.int64, torch.float16)
    teacher = teachers.load(Path(small_views.teacher.models[0]), torch.device("cpu"))
    expected = teacher(view.images.float() / 255).detach()
    torch.testing.assert_close(view.logits.float(), expected, rtol=2e-3, atol=2e-3)


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


def test_views_are_made_as_far_as_they_are_used(small_views: ViewSource, tmp_path: Path) -> None:
    new = replace(small_views, folder=tmp_path)
    weak = Recipe(views=2, epochs=10, weak_augmentation=0.1)
    assert missing(new, weak) == [(new, 0), (new, 1), (new.weak(), 0)]
    assert missing(new, Recipe(views=4, epochs=4, unaugmented=0.5)) == [(new, 0), (new, 1), (new, UNAUGMENTED)]
    assert missing(new, Recipe(views=4, epochs=0.5)) == [(new, 0)]


def test_views_that_exist_are_used_again(small_views: ViewSource) -> None:
    assert missing(small_views, Recipe(views=2, unaugmented=0.1)) == []
    assert missing(small_views, Recipe(views=4)) == [(small_views, 2), (small_views, 3)]
    before = {path: path.stat().st_mtime_ns for path in small_views.folder.rglob("*")}
    make_view(small_views, 0, "cpu")
    assert {path: path.stat().st_mtime_ns for path in small_views.folder.rglob("*")} == before


def test_the_same_view_is_made_again_bit_for_bit(small_views: ViewSource, tmp_path: Path) -> None:
    again = replace(small_views, folder=tmp_path / small_views.folder.name)
    make_view(again, 1, "cpu")
    for part in ("images", "labels"):
        assert torch.equal(getattr(opened(again, 1), part), getattr(opened(small_views, 1), part))


def test_a_full_disk_leaves_nothing(small_views: ViewSource, tmp_path: Path) -> None:
    source = replace(small_views, folder=tmp_path / small_views.folder.name)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            make_view(source, 0, "cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in source.folder.iterdir() if not path.name.endswith(".lock")] == []
    assert missing(source, Recipe(views=1)) == [(source, 0)]


def test_views_cannot_be_changed_through_an_open_one(small_views: ViewSource) -> None:
    before = contents(small_views.folder)
    view = opened(small_views, 0)
    view.images.zero_()
    view.logits.zero_()
    assert contents(small_views.folder) == before


def test_whatever_decides_over_the_content_decides_over_the_folder(
    small_views: ViewSource, small_data: DataSet, tmp_path: Path
) -> None:
    def folder(
        data: DataSet = small_data,
        teacher: Path = Path(small_views.teacher.models[0]),
        augmentation: Augmentation = small_views.augmentation,
        seed: int = 0,
    ) -> Path:
        return view_source(
            small_views.folder.parent, data, TeacherSource(models=(str(teacher),)), augmentation, seed
        ).folder

    assert folder() == small_views.folder
    other_teacher, same_teacher = tmp_path / "other.safetensors", tmp_path / "renamed.safetensors"
    other_teacher.write_bytes(b"another teacher")
    same_teacher.write_bytes(Path(small_views.teacher.models[0]).read_bytes())
    assert folder(teacher=same_teacher) == folder()
    others = {
        folder(seed=1),
        folder(augmentation=Augmentation(rotation=1)),
        folder(data=load(replace(small_data.source, seed=1))),
        folder(teacher=other_teacher),
    }
    assert len(others | {folder()}) == 5


def test_another_data_file_of_the_same_name_has_other_views(
    small_source: DataSource, teacher_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(Path(small_source.name).read_bytes())

    def folder() -> Path:
        data = load(replace(small_source, name=str(path)))
        return view_source(tmp_path, data, TeacherSource(models=(str(teacher_path),)), Augmentation()).folder

    before = folder()
    with np.load(small_source.name) as archive:
        arrays = {name: archive[name] for name in archive}
    arrays["x_train"] = arrays["x_train"][:, ::-1]
    np.savez(path, **arrays)
    assert folder() != before


def test_the_teacher_answers_for_mixed_pixels(
    small_data: DataSet, small_views: ViewSource, teacher_path: Path, tmp_path: Path
) -> None:
    policy = Augmentation(elastic=0.03, erasing=0.2, mixup=1, cutmix=1)
    source = view_source(tmp_path, small_data, TeacherSource(models=(str(teacher_path),)), policy)
    for index in (UNAUGMENTED, 0):
        make_view(source, index, "cpu")
    view, plain = opened(source, 0), opened(source, UNAUGMENTED)
    teacher = teachers.load(teacher_path, torch.device("cpu"))
    expected = teacher(view.images.float() / 255).detach()
    torch.testing.assert_close(view.logits.float(), expected, rtol=2e-3, atol=2e-3)
    right = float((view.logits.argmax(1) == view.labels).float().mean())
    assert 0.4 < right < 0.95, "a mixed image is mostly of its larger part's class"
    assert not torch.equal(torch.bincount(view.labels), torch.bincount(small_data.train.labels))
    # the unaugmented view has nothing of it
    other = opened(small_views, UNAUGMENTED)
    assert torch.equal(plain.images, other.images)
    assert torch.equal(plain.labels, other.labels)


def test_augmentation_weakens_and_stops_in_the_last_epochs(small_views: ViewSource) -> None:
    recipe = Recipe(epochs=10, views=2, weak_augmentation=0.45, unaugmented=0.1)  # 4.5 epochs are rounded to 4
    used = [view_of(small_views, recipe, epoch) for epoch in range(12)]
    full, weak = small_views, small_views.weak()
    turns = [(full, 0), (full, 1)] * 3
    assert used == [*turns, (weak, 0), (weak, 1), (weak, 0), (full, UNAUGMENTED), (full, 0), (full, 1)]
    assert all(view_of(full, Recipe(epochs=10, views=2), epoch) == (full, epoch % 2) for epoch in range(12))


def test_a_policy_that_changes_nothing_makes_one_view(
    small_data: DataSet, sequences: DataSet, teacher_path: Path, tmp_path: Path
) -> None:
    teacher = TeacherSource(models=(str(teacher_path),))
    recipe = Recipe(epochs=10, weak_augmentation=0.5, unaugmented=0.2)
    images = NO_AUGMENTATION, replace(NO_AUGMENTATION, jitter=0.1)
    sources = [view_source(tmp_path, small_data, teacher, policy) for policy in images]
    sources += [view_source(tmp_path, sequences, teacher, policy) for policy in (Augmentation(), NO_AUGMENTATION)]
    assert sources[0] == sources[1]
    assert sources[2] == sources[3]
    for source in sources:
        assert missing(source, recipe) == [(source, UNAUGMENTED)]
    for data, policy in ((small_data, Augmentation(jitter=0.1)), (sequences, Augmentation(jitter=0.1))):
        assert len(missing(view_source(tmp_path, data, teacher, policy), recipe)) > 1


HALF = """
import sys, time
from pathlib import Path
from kd.files import scratch_folder

with scratch_folder(Path(sys.argv[1]), "000") as folder:
    (folder / "images.npy").write_bytes(b"half of it")
    time.sleep(60)
"""


def test_a_view_left_half_written_is_removed_by_the_next_that_makes_it(small_views: ViewSource, tmp_path: Path) -> None:
    source, half = replace(small_views, folder=tmp_path), tmp_path / ".000.draft" / "images.npy"
    with subprocess.Popen([sys.executable, "-c", HALF, str(tmp_path)]) as process:
        while not half.is_file() and process.poll() is None:
            time.sleep(0.05)
        process.kill()
    assert half.is_file()
    make_view(source, 0, "cpu")
    assert {path.name for path in tmp_path.iterdir()} <= {"000", ".000.lock"}
    assert torch.equal(opened(source, 0).images, opened(small_views, 0).images)


MAKE = """
import pickle, sys
from kd.distil.views import make_view

make_view(pickle.loads(bytes.fromhex(sys.argv[1])), 0, "cpu")
"""


def test_two_that_make_one_view_do_not_disturb_each_other(small_views: ViewSource, tmp_path: Path) -> None:
    source = replace(small_views, folder=tmp_path)
    command = [sys.executable, "-c", MAKE, pickle.dumps(source).hex()]
    with subprocess.Popen(command) as first, subprocess.Popen(command) as second:
        assert (first.wait(), second.wait()) == (0, 0)
    assert {path.name for path in tmp_path.iterdir()} <= {"000", ".000.lock"}
    assert torch.equal(opened(source, 0).images, opened(small_views, 0).images)


def test_weak_views_are_of_half_the_augmentation(
    small_data: DataSet, small_views: ViewSource, teacher_path: Path
) -> None:
    half = Augmentation(rotation=6, shift=0.04, scale=0.06, shear=4)
    assert small_views.weak().augmentation == half
    assert Augmentation(mixup=1, flip=0.5).weak() == replace(half, mixup=0.5, flip=0.25)
    make_view(small_views.weak(), 0, "cpu")
    view = opened(small_views.weak(), 0)
    generator = torch.Generator().manual_seed(100_003 + 1)
    order = torch.randperm(len(small_data.train.labels), generator=generator)[:64]
    pixels = augment(small_data.train.images[order].float() / 255, half, generator)
    assert torch.equal(view.images[:64], (pixels * 255).round().to(torch.uint8))
    expected = teachers.load(teacher_path, torch.device("cpu"))(view.images.float() / 255).detach()
    torch.testing.assert_close(view.logits.float(), expected, rtol=2e-3, atol=2e-3)


def test_views_with_validation_hold_every_sample_once(
    small_data: DataSet, small_views: ViewSource, teacher_path: Path, tmp_path: Path
) -> None:
    teacher = TeacherSource(models=(str(teacher_path),))
    source = view_source(tmp_path, small_data, teacher, Augmentation(), with_validation=True)
    assert source.folder.name != small_views.folder.name
    for index in (UNAUGMENTED, 0):
        make_view(source, index, "cpu")
    plain, moved = opened(source, UNAUGMENTED), opened(source, 0)
    both = [pairs(split.images, split.labels) for split in (small_data.train, small_data.validation)]
    assert pairs(plain.images, plain.labels) == sorted(both[0] + both[1])
    assert torch.equal(torch.bincount(moved.labels), torch.bincount(plain.labels))
    for view in (plain, moved):
        expected = teachers.load(teacher_path, torch.device("cpu"))(view.images.float() / 255).detach()
        torch.testing.assert_close(view.logits.float(), expected, rtol=2e-3, atol=2e-3)


def test_the_default_policy_moves_digits(small_data: DataSet, small_views: ViewSource) -> None:
    view = opened(small_views, 0)
    moved = small_data.train.images.clone()
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(len(moved), generator=generator)
    moved = moved[order]
    pixels = augment(moved[:64].float() / 255, Augmentation(), generator)
    assert torch.equal(view.images[:64], (pixels * 255).round().to(torch.uint8))


def test_saved_logits_make_the_views_of_the_teacher_that_gave_them(
    small_source: DataSource, small_data: DataSet, teacher_path: Path, tmp_path: Path
) -> None:
    with np.load(small_source.name) as archive:
        pixels = torch.from_numpy(archive["x_train"])[:, None].float() / 255
    with torch.no_grad():
        np.save(tmp_path / "logits.npy", teachers.load(teacher_path, torch.device("cpu"))(pixels).numpy())
    sources = [
        view_source(tmp_path, small_data, TeacherSource(models=(str(path),)), NO_AUGMENTATION)
        for path in (teacher_path, tmp_path / "logits.npy")
    ]
    assert sources[0].folder != sources[1].folder
    for index in (UNAUGMENTED, 0):
        for source in sources:
            make_view(source, index, "cpu")
        asked, saved = (opened(source, index) for source in sources)
        assert torch.equal(saved.images, asked.images)
        assert torch.equal(saved.labels, asked.labels)
        torch.testing.assert_close(saved.logits, asked.logits, rtol=2e-3, atol=2e-3)


def test_saved_logits_answer_for_no_augmented_sample(small_data: DataSet, tmp_path: Path) -> None:
    source = TeacherSource(models=(str(tmp_path / "logits.npy"),))
    with pytest.raises(InputError, match=r"as they are: set recipe\.augmentation=none, or assistants"):
        view_source(tmp_path, small_data, source, Augmentation(rotation=0, shift=0, scale=0, shear=0, flip=0.5))


@pytest.mark.parametrize("damage", ["empty", "short", "zeros", "gone"])
def test_a_damaged_view_is_noticed_and_made_again(small_data: DataSet, tmp_path: Path, damage: str) -> None:
    data = small_data.first(200)
    source = view_source(tmp_path, data, TeacherSource(models=("mnist",)), NO_AUGMENTATION)
    recipe = Recipe(augmentation=NO_AUGMENTATION, views=1)
    make_view(source, UNAUGMENTED, "cpu", data)
    whole = open_view(source, UNAUGMENTED)
    assert missing(source, recipe) == []
    for name in (".DS_Store", "._logits.npy", "desktop.ini"):
        (source.view(UNAUGMENTED) / name).write_bytes(b"x")
    assert torch.equal(open_view(source, UNAUGMENTED).logits, whole.logits)
    file = source.view(UNAUGMENTED) / "images.npy"
    content = file.read_bytes()
    file.unlink()
    if damage != "gone":
        torn = {"empty": b"", "short": content[:-1000], "zeros": content[:4096] + bytes(4096) + content[8192:]}
        file.write_bytes(torn[damage])
    if damage != "zeros":  # which only the checksum tells
        with pytest.raises(InputError, match=r"images\.npy is missing or damaged"):
            open_view(source, UNAUGMENTED)
    assert missing(source, recipe) == [(source, UNAUGMENTED)]
    make_view(source, UNAUGMENTED, "cpu", data)
    again = open_view(source, UNAUGMENTED)
    assert all(torch.equal(getattr(again, part), getattr(whole, part)) for part in ("images", "labels", "logits"))
    assert missing(source, recipe) == []
