"""One student distilled by one call."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kd.data.dataset import DataSet
from kd.distil.distil import default_recipe, distil
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate
from kd.students.file import TrainedStudent, load_student
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.errors import InputError

STUDENT = Architecture(
    family="cnn",
    shape=(1, 28, 28),
    classes=10,
    blocks=(Convolution(width=12, kernel=5, stride=2), Convolution(width=16, stride=2), GlobalAverage()),
)
RECIPE = Recipe(schedule="cosine", epochs=6, warmup=0.1, unaugmented=0.4, views=2, batch=25)


@pytest.fixture(scope="module")
def trained(small_data: DataSet) -> TrainedStudent:
    return distil(STUDENT, small_data, RECIPE, teacher="mnist", device="cpu")


def test_it_learns(trained: TrainedStudent, small_data: DataSet) -> None:
    assert [point.epoch for point in trained.curve] == [1, 2, 3, 4, 5, 6]
    accuracy = evaluate(trained.module, small_data.validation, small_data, torch.device("cpu")).accuracy
    assert trained.validation_accuracy == accuracy > 0.5
    right = (trained.predict(small_data.test.images) == small_data.test.labels).float().mean()
    assert float(right) > 0.5
    assert trained.logits(small_data.test.images).shape == (300, 10)


def test_it_is_saved_and_loaded(trained: TrainedStudent, small_data: DataSet, tmp_path: Path) -> None:
    trained.save(tmp_path / "student.safetensors")
    again = load_student(tmp_path / "student.safetensors")
    assert torch.equal(again.logits(small_data.test.images), trained.logits(small_data.test.images))
    assert (again.parameters, again.data, again.curve) == (trained.parameters, small_data.digest, ())
    assert again.validation_accuracy is None


def test_the_process_is_left_as_it_was(small_data: DataSet) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(1)
    before = torch.random.get_rng_state(), list(warnings.filters)
    try:
        distil(STUDENT, small_data.first(200), replace(RECIPE, epochs=1), teacher="mnist", device="cpu")
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.random.get_rng_state(), before[0])
        assert list(warnings.filters) == before[1]
    finally:
        torch.set_num_threads(threads)


def test_views_in_a_cache_are_used_again(small_data: DataSet, tmp_path: Path) -> None:
    data, recipe = small_data.first(200), replace(RECIPE, epochs=2)
    first = distil(STUDENT, data, recipe, teacher="mnist", cache=tmp_path, device="cpu")
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    again = distil(STUDENT, data, recipe, teacher="mnist", cache=tmp_path, device="cpu")
    other = distil(STUDENT, data, recipe, teacher="mnist", seed=1, cache=tmp_path, device="cpu")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == written
    logits = [student.logits(data.test.images) for student in (first, again, other)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])


class Always(nn.Module):
    """Gives the same logits whatever it sees, in training mode other ones."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.register_buffer("logits", torch.full((10,), -20.0).index_fill(0, torch.tensor([label]), 20.0))

    def forward(self, pixels: Tensor) -> Tensor:
        assert isinstance(self.logits, Tensor)
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
        return self.logits.expand(len(pixels), -1) * (-1 if self.training else 1)


def test_a_network_of_ones_own_teaches(small_data: DataSet, tmp_path: Path) -> None:
    data, recipe = small_data.first(500), replace(RECIPE, epochs=2)
    for label in (3, 7):
        teacher = Always(label).train()
        with pytest.raises(InputError, match=r"teacher Always is right for .* of 700 labelled samples, where chance"):
            distil(STUDENT, data, recipe, teacher=teacher, cache=tmp_path, device="cpu")
        unchecked = teacher, TeacherSource(check=False)
        student = distil(STUDENT, data, recipe, teacher=unchecked, cache=tmp_path, device="cpu")
        assert student.predict(data.test.images).unique().tolist() == [label]
        assert teacher.training
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_the_shipped_teacher_is_that_of_the_data(small_data: DataSet) -> None:
    with pytest.raises(InputError, match="no teacher is shipped for small: train one with wunderkind teach, or give"):
        distil(STUDENT, small_data, RECIPE)
    assert teachers.shipped("mnist").is_file()
    named = replace(small_data.first(100), name="mnist")
    assert distil(STUDENT, named, replace(RECIPE, epochs=1), device="cpu").validation_accuracy is not None


def test_a_student_that_does_not_fit_is_refused(small_data: DataSet) -> None:
    with pytest.raises(InputError, match="choose an architecture that fits"):
        distil(replace(STUDENT, classes=3), small_data, RECIPE, teacher="mnist")
    with pytest.raises(InputError, match=r"loss is .*: lower recipe\.learning_rate"):
        wild = replace(RECIPE, learning_rate=1e30, warmup=0, epochs=2)
        distil(STUDENT, small_data.first(200), wild, teacher="mnist", device="cpu")


def test_the_default_recipe_follows_the_data(small_data: DataSet) -> None:
    assert default_recipe(replace(small_data, name="fashion-mnist")).augmentation.flip == 0.5
    assert default_recipe(small_data).augmentation.flip == 0
