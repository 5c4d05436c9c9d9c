import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from kd.data.augmentation import Augmentation
from kd.data.dataset import DataSet, DataSource, load
from kd.environment import current
from kd.teachers.loading import open_teacher
from kd.teachers.log import TeacherLog, log_of
from kd.teachers.network import Teacher, TeacherRecipe, accuracy
from kd.teachers.network import load as load_teacher
from kd.teachers.source import TeacherSource
from kd.teachers.training import Curve, accuracies, checkpoint_of, curve_of, finish, is_finished, teach_epoch
from space.errors import InputError

CPU = torch.device("cpu")
TINY = TeacherRecipe(widths=(4, 8), epochs=3, batch=100, ema=0.9)


def taught(data: DataSet, path: Path, recipe: TeacherRecipe = TINY) -> dict[str, torch.Tensor]:
    for _ in range(recipe.epochs):
        teach_epoch(data.source, recipe, path, 1, "cpu")
    finish(data, recipe, path, CPU)
    return load_file(path)


def timeless(curve: Curve) -> Curve:
    return [row | {"seconds": 0.0} for row in curve]


@pytest.fixture(scope="module")
def teacher(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teachers") / "small.safetensors"
    taught(small_data, path)
    return path


def test_what_happens_between_two_epochs_changes_no_bit(small_data: DataSet, teacher: Path, tmp_path: Path) -> None:
    path = tmp_path / "again.safetensors"
    for epoch in range(TINY.epochs):
        torch.manual_seed(99 + epoch)
        torch.rand(epoch + 1)
        curve = teach_epoch(small_data.source, TINY, path, 1, "cpu")
        assert [row["epoch"] for row in curve] == list(range(1, epoch + 2))
    finish(small_data, TINY, path, CPU)
    first, again = load_file(teacher), load_file(path)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    log = json.loads(teacher.with_suffix(".json").read_text())
    assert timeless(curve) == timeless(log["curve"])


def test_an_epoch_more_than_asked_is_not_taught(small_data: DataSet, tmp_path: Path) -> None:
    path, once = tmp_path / "t.safetensors", replace(TINY, epochs=1)
    curve = teach_epoch(small_data.source, once, path, 1, "cpu")
    before = checkpoint_of(path).read_bytes()
    assert teach_epoch(small_data.source, once, path, 1, "cpu") == curve
    assert checkpoint_of(path).read_bytes() == before


@pytest.mark.parametrize("batch", [1_000, 500, 250, 200])
def test_a_few_steps_are_enough(batch: int, small_data: DataSet, tmp_path: Path) -> None:
    few = replace(TINY, epochs=1, batch=batch)
    assert len(teach_epoch(small_data.source, few, tmp_path / "t.safetensors", 1, "cpu")) == 1


def test_momentum_and_schedule_go_on_where_they_were(small_data: DataSet, tmp_path: Path) -> None:
    # an oracle that never stops: one optimizer, one schedule, one average over both epochs
    unmoved = Augmentation(rotation=0, shift=0, scale=0, shear=0)
    still = replace(TINY, epochs=2, optimizer="adamw", learning_rate=6e-3, dropout=0.0, augmentation=unmoved)
    path = tmp_path / "t.safetensors"
    for _ in range(2):
        teach_epoch(small_data.source, still, path, 1, "cpu")
    torch.manual_seed(still.seed)
    model = Teacher(small_data.shape, 10, small_data.mean, small_data.std, still.widths)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=still.learning_rate, weight_decay=still.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, still.learning_rate, total_steps=20, pct_start=0.25)
    images, labels = small_data.train.images.float() / 255, small_data.train.labels
    average: dict[str, torch.Tensor] = {}
    for epoch in range(2):
        order = torch.randperm(1_000, generator=torch.Generator().manual_seed(epoch + 1))
        for index in order.split(100):
            loss = torch.nn.functional.cross_entropy(model(images[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            now = {name: weight.detach().clone() for name, weight in model.named_parameters()}
            average = {name: 0.9 * average[name] + 0.1 * now[name] for name in now} if average else now
    stored = load_file(checkpoint_of(path))
    for name, weight in model.named_parameters():
        torch.testing.assert_close(stored[f"model.{name}"], weight.detach(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(stored[f"averaged.module.{name}"], average[name], rtol=1e-3, atol=1e-4)


def test_the_log_tells_of_the_file(small_data: DataSet, teacher: Path) -> None:
    log = TeacherLog.from_json(log_of(teacher))
    stored = load_teacher(teacher, CPU)
    assert log.recipe == json.loads(json.dumps(asdict(TINY)))
    assert log.parameters == sum(p.numel() for p in stored.parameters())
    assert log.validation_accuracy == accuracy(stored, small_data.validation, CPU)
    assert log.test_accuracy == accuracy(stored, small_data.test, CPU)
    assert log.environment == current("cpu", threads=1)
    assert not checkpoint_of(teacher).exists()


def test_training_images_alone_are_seen(small_data: DataSet, teacher: Path, tmp_path: Path) -> None:
    # validation and test images of other labels and colours: the same weights, another log
    path = tmp_path / "blind.npz"
    train, validation, test = small_data.train, small_data.validation, small_data.test
    np.savez(
        path,
        x_train=train.images[:, 0].numpy(),
        y_train=train.labels.numpy(),
        x_val=255 - validation.images[:, 0].numpy(),
        y_val=9 - validation.labels.numpy(),
        x_test=255 - test.images[:, 0].numpy(),
        y_test=9 - test.labels.numpy(),
    )
    blind = taught(load(DataSource(name=str(path))), tmp_path / "blind.safetensors")
    assert all(torch.equal(tensor, blind[name]) for name, tensor in load_file(teacher).items())


def test_an_ensemble_is_measured_as_it_teaches(small_data: DataSet, teacher: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    taught(small_data, other, replace(TINY, seed=1))
    parts = [load_teacher(path, CPU)(small_data.test.images.float() / 255).softmax(1) for path in (teacher, other)]
    right = ((parts[0] + parts[1]).argmax(1) == small_data.test.labels).float().mean()
    validation, test = accuracies([teacher, other], small_data, CPU)
    assert test == pytest.approx(float(right))
    logits = open_teacher(TeacherSource(models=(str(teacher), str(other))), small_data, CPU)
    assert validation == accuracy(logits, small_data.validation, CPU)


def test_another_recipe_or_other_data_never_replaces_a_teacher(
    small_data: DataSet, teacher: Path, tmp_path: Path
) -> None:
    assert is_finished(teacher, TINY, small_data)
    assert not is_finished(tmp_path / "none.safetensors", TINY, small_data)
    for recipe, data, words in (
        (replace(TINY, epochs=4), small_data, "epochs is 3, not 4"),
        (replace(TINY, seed=1), small_data, "seed is 0, not 1"),
        (TINY, load(replace(small_data.source, seed=1)), f"data is {small_data.digest}, not"),
    ):
        with pytest.raises(InputError, match=f"{words}.*remove it, or choose another --out"):
            is_finished(teacher, recipe, data)
    path = tmp_path / "begun.safetensors"
    teach_epoch(small_data.source, TINY, path, 1, "cpu")
    with pytest.raises(InputError, match="batch is 100, not 50"):
        curve_of(path, replace(TINY, batch=50), small_data)
    checkpoint_of(path).write_bytes(checkpoint_of(path).read_bytes()[:100])
    with pytest.raises(InputError, match="holds no teacher: remove it"):
        teach_epoch(small_data.source, TINY, path, 1, "cpu")


def test_a_loss_that_is_no_number_ends_teaching(small_data: DataSet, tmp_path: Path) -> None:
    path, wild = tmp_path / "t.safetensors", replace(TINY, learning_rate=1e30)
    with pytest.raises(InputError, match=r"loss is (nan|inf) in epoch .* lower --learning-rate"):
        taught(small_data, path, wild)
    assert not path.exists()


def test_teaching_leaves_threads_and_random_numbers_of_its_process_alone(small_data: DataSet, tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    teach_epoch(small_data.source, replace(TINY, epochs=1), tmp_path / "t.safetensors", 2, "cpu")
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_teacher_of_another_format_is_refused(small_data: DataSet, teacher: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    with safe_open(teacher, framework="pt") as archive:
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        metadata = archive.metadata() | {"format": "2"}
    save_file(tensors, path, metadata)
    refused = "is of format 2, not 1: make it again"
    with pytest.raises(InputError, match=refused):
        load_teacher(path, CPU)
    with pytest.raises(InputError, match=refused):
        is_finished(path, TINY, small_data)
