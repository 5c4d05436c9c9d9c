from pathlib import Path

import pytest
import torch
from torch import nn

from kd.data.dataset import ASSETS, DataSet, DataSource
from kd.data.dataset import load as load_data
from kd.teachers.log import TeacherLog, log_of
from kd.teachers.network import (
    Teacher,
    TeacherRecipe,
    accuracy,
    check,
    check_origin,
    fused,
    load,
    save,
    shipped,
)
from kd.teachers.training import accuracies
from space.errors import InputError

CPU = torch.device("cpu")
TINY = TeacherRecipe(widths=(4, 8), epochs=1, batch=100)


def untrained(data: DataSet) -> Teacher:
    torch.manual_seed(0)
    return Teacher(data.shape, data.classes, data.mean, data.std, TINY.widths, TINY.dropout).eval()


def test_a_file_gives_the_teacher_back_to_half_precision(tmp_path: Path, small_data: DataSet) -> None:
    teacher, path = untrained(small_data), tmp_path / "teacher.safetensors"
    save(teacher, path, TINY, small_data)
    pixels = small_data.test.images[:8].float() / 255
    again = load(path, CPU)(pixels).detach()
    torch.testing.assert_close(again, teacher(pixels).detach(), rtol=1e-2, atol=1e-2)
    assert path.stat().st_size < 2 * sum(p.numel() for p in teacher.parameters()) + 4_000


def test_a_folded_teacher_answers_the_same(small_data: DataSet) -> None:
    teacher = untrained(small_data)
    pixels = small_data.train.images[:200].float() / 255
    teacher.train()
    teacher(pixels)
    teacher.eval()
    folded = fused(teacher)
    torch.testing.assert_close(folded(pixels).detach(), teacher(pixels).detach(), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in teacher.modules())
    assert [name for name, _ in folded.named_modules()] == [name for name, _ in teacher.named_modules()]


def test_files_that_hold_no_teacher_are_refused(tmp_path: Path, small_data: DataSet) -> None:
    path = tmp_path / "teacher.safetensors"
    with pytest.raises(InputError, match="cannot read a teacher"):
        load(path, CPU)
    path.write_bytes(b"hello")
    with pytest.raises(InputError, match="cannot read a teacher") as caught:
        load(path, CPU)
    assert "\n" not in str(caught.value)
    save(untrained(small_data), path, TeacherRecipe(widths=(5, 8)), small_data)
    with pytest.raises(InputError, match="cannot read a teacher"):
        load(path, CPU)


@pytest.mark.parametrize(
    ("shape", "side"),
    [((1, 8, 8), 2), ((1, 28, 28), 7), ((3, 32, 32), 8), ((3, 64, 48), 8), ((3, 224, 224), 7), ((9, 128, 1), 8)],
    ids=str,
)
def test_larger_samples_are_halved_more_often(shape: tuple[int, int, int], side: int) -> None:
    statistics = (0.5,) * shape[0]
    teacher = Teacher(shape, 7, statistics, statistics, (4,) * 6).eval()
    pixels = torch.rand(2, *shape)
    assert max(teacher.features(pixels).shape[2:]) == side
    assert teacher(pixels).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("mnist", TeacherRecipe(optimizer="adamw", epochs=22, learning_rate=6e-3)),
        ("mnist-1", TeacherRecipe(seed=1)),
    ],
)
def test_a_shipped_teacher_is_small_good_and_documented(name: str, recipe: TeacherRecipe, small_data: DataSet) -> None:
    path, readme = shipped(name), (ASSETS / "README.md").read_text()
    check_origin(path, recipe, load_data(DataSource()))
    assert path.stat().st_size <= 600_000
    log, teacher = TeacherLog.from_json(log_of(path)), load(path, CPU)
    assert log.parameters == sum(p.numel() for p in teacher.parameters())
    assert f"{log.parameters:,} parameters" in readme
    assert log.data == load_data(DataSource()).digest
    shares = (log.validation_accuracy, log.test_accuracy)
    assert " | ".join(f"{100 * share:.2f} %" for share in shares) in readme
    assert accuracy(teacher, small_data.test, CPU) >= 0.99


@pytest.mark.parametrize("name", ["fashion-mnist", "fashion-mnist-1"])
def test_a_shipped_teacher_of_data_that_are_not_is_documented(name: str) -> None:
    path, readme = shipped(name), (ASSETS / "README.md").read_text()
    log = TeacherLog.from_json(log_of(path))
    assert log.parameters == sum(p.numel() for p in load(path, CPU).parameters())
    assert log.recipe is not None
    seed = f"--seed {log.recipe['seed']} " if log.recipe["seed"] else ""
    made = f"wunderkind teach fashion-mnist {seed}--epochs {log.recipe['epochs']} --out kd/assets/{path.name}"
    shares = (log.validation_accuracy, log.test_accuracy)
    assert f"| `{name}` | {' | '.join(f'{100 * share:.2f} %' for share in shares)} | `{made}` |" in readme


def test_the_shipped_ensemble_is_better_than_its_members() -> None:
    validation, test = accuracies([shipped("mnist"), shipped("mnist-1")], load_data(DataSource()), CPU)
    assert test == pytest.approx(0.9975, abs=2e-4)
    assert validation == pytest.approx(0.9960, abs=2e-4)


def test_a_teacher_of_other_images_or_classes_is_refused(small_data: DataSet) -> None:
    check(untrained(small_data), small_data)
    with pytest.raises(InputError, match="3 classes"):
        check(Teacher(small_data.shape, 3, (0.1,), (0.3,), (4, 8)), small_data)
    with pytest.raises(InputError, match="make one with wunderkind teach"):
        check(Teacher((3, 32, 32), 10, (0.1,), (0.3,), (4, 8)), small_data)
