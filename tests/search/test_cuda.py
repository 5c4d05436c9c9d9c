"""Everything that computes, on a GPU; skipped where there is none."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from kd.data.augmentation import NO_AUGMENTATION, Augmentation
from kd.data.dataset import DataSet, values
from kd.device import pick
from kd.distil.train import RungResult, RungTask, train_rung
from kd.distil.views import UNAUGMENTED, ViewSource, make_view, open_view, view_source
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import FeatureLoss, Loss, Optimizer, Recipe
from kd.students.evaluate import evaluate
from kd.students.file import save_student
from kd.students.onnx import export_onnx
from kd.teachers import network as teachers
from kd.teachers.loading import open_teacher
from kd.teachers.network import TeacherRecipe
from kd.teachers.source import TeacherSource
from kd.teachers.training import accuracies, finish, teach_epoch
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.network import build
from studies import shipped

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

CPU, GPU = torch.device("cpu"), torch.device("cuda")
RECIPE = Recipe(epochs=2, views=1, batch=50, warmup=0.25, learning_rate=1e-2, unaugmented=0.5)
MIXED = Augmentation(elastic=0.03, crop=0.1, flip=0.5, erasing=0.5, mixup=0.3, cutmix=0.3)
SMALL = Architecture(
    family="cnn",
    shape=(1, 28, 28),
    classes=10,
    blocks=(Convolution(width=6, stride=2), Convolution(width=8, stride=2), GlobalAverage()),
)


def rung(
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    start: float,
    stop: float,
    views: ViewSource,
    state: bytes | None = None,
    device: str = "cpu",
) -> RungResult:
    task = RungTask(
        architecture=architecture, recipe=recipe, seed=seed, start=start, stop=stop, views=views, device=device
    )
    return train_rung(task, state)


def finite(result: RungResult) -> bool:
    """Whether a rung came out well, its steps replayed from a graph."""
    return result.failure is None and result.unrecorded is None and math.isfinite(result.curve[-1].validation_loss)


def views(folder: Path, data: DataSet, policy: Augmentation, teacher: TeacherSource | None = None) -> ViewSource:
    """One augmented view and the clean one, made on the GPU."""
    source = view_source(folder, data, teacher or TeacherSource(models=("mnist",)), policy)
    for index in (UNAUGMENTED, 0):
        make_view(source, index, "cuda")
    return source


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet) -> ViewSource:
    teacher = TeacherSource(models=("mnist",), stage="features.11", cells=3)
    return views(tmp_path_factory.mktemp("views"), small_data, Augmentation(), teacher)


def test_it_is_taken_where_it_is() -> None:
    assert pick("auto") == pick("cuda") == "cuda"


@pytest.mark.parametrize("policy", [Augmentation(), MIXED], ids=["affine", "mixed"])
def test_views_hold_the_teachers_logits_for_their_pixels(
    policy: Augmentation, small_data: DataSet, tmp_path: Path
) -> None:
    source = views(tmp_path, small_data, policy)
    teacher = teachers.load(teachers.shipped("mnist"), CPU)
    for index in (UNAUGMENTED, 0):
        view = open_view(source, index)
        expected = teacher(view.images.float() / 255).detach()
        torch.testing.assert_close(view.logits.float(), expected, rtol=0.02, atol=0.05)  # a GPU's convolutions: TF32


def test_views_of_sequences(sequences: DataSet, tmp_path: Path) -> None:
    logits = np.zeros((sequences.given, 10), np.float32)
    np.save(tmp_path / "logits.npy", logits)
    views(tmp_path, sequences, NO_AUGMENTATION, TeacherSource(models=(str(tmp_path / "logits.npy"),)))


@pytest.mark.parametrize("name", shipped.names())
def test_every_shipped_student_starts_as_on_the_cpu(name: str, small_views: ViewSource) -> None:
    architecture = shipped.find(name)
    here, there = (rung(architecture, RECIPE, 0, 0, 0.05, small_views, device=d) for d in ("cpu", "cuda"))
    assert finite(there)
    assert there.curve[-1].train_loss == pytest.approx(here.curve[-1].train_loss, rel=0.05)


@pytest.mark.parametrize("loss", ["hard", "kl", "mse", "dkd", "dist"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_losses_and_optimizers(loss: Loss, optimizer: Optimizer, small_views: ViewSource) -> None:
    recipe = replace(RECIPE, loss=loss, optimizer=optimizer, hard_weight=0.2)
    assert finite(rung(SMALL, recipe, 0, 0, 2, small_views, device="cuda"))


@pytest.mark.parametrize("loss", ["hint", "attention", "similarity"])
def test_feature_losses(loss: FeatureLoss, staged: ViewSource) -> None:
    assert finite(rung(SMALL, replace(RECIPE, feature_loss=loss), 0, 0, 2, staged, device="cuda"))


def test_training_goes_on_where_it_was_on_either_device(small_views: ViewSource, small_data: DataSet) -> None:
    whole = rung(SMALL, RECIPE, 0, 0, 2, small_views, device="cpu")
    for first, second in (("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda")):
        start = rung(SMALL, RECIPE, 0, 0, 1, small_views, device=first)
        end = rung(SMALL, RECIPE, 0, 1, 2, small_views, state=start.checkpoint, device=second)
        assert end.curve[-1].train_loss == pytest.approx(whole.curve[-1].train_loss, rel=0.05)
        assert load(end.checkpoint).keys() == load(whole.checkpoint).keys()
        student = build(SMALL)
        student.load_state_dict(averaged_weights(end.checkpoint))
        measured = evaluate(student, small_data.validation, small_data, CPU).accuracy
        assert measured == pytest.approx(end.curve[-1].validation_accuracy, abs=0.02)


def test_teaching(small_data: DataSet, tmp_path: Path) -> None:
    path, recipe = tmp_path / "teacher.safetensors", TeacherRecipe(widths=(8, 16), epochs=2, batch=50, ema=0.9)
    for _ in range(recipe.epochs):
        curve = teach_epoch(small_data.source, recipe, path, 1, "cuda")
    finish(small_data, recipe, path, GPU)
    assert curve[1]["train_loss"] < curve[0]["train_loss"]
    on_gpu, on_cpu = (accuracies([path], small_data, device) for device in (GPU, CPU))
    assert on_gpu == pytest.approx(on_cpu, abs=0.02)


def test_teachers_of_every_kind_answer(small_data: DataSet, tmp_path: Path) -> None:
    student, network = tmp_path / "student.safetensors", tmp_path / "student.onnx"
    save_student(student, build(SMALL).state_dict(), SMALL, small_data)
    export_onnx(student, network, small_data.test.images[:8])
    pixels = values(small_data.test.images[:100])
    for model in ("mnist", str(student), str(network)):
        here, there = (open_teacher(TeacherSource(models=(model,)), small_data, device) for device in (CPU, GPU))
        with torch.no_grad():
            answer = there(pixels.to(GPU), torch.arange(100))
            torch.testing.assert_close(answer.cpu(), here(pixels, torch.arange(100)), rtol=0.02, atol=0.05)


def test_a_whole_study(study_file: Path, tmp_path: Path) -> None:
    for arguments in (
        ["run", str(study_file), "--name", "gpu", "--workers", "3", "--device", "cuda"],
        ["verify", "gpu"],
        ["report", "gpu"],
    ):
        command = [sys.executable, "-m", "search", *arguments, "--runs", str(tmp_path / "runs")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
