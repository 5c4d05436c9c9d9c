"""Sequences and colour images on the whole way: teacher, views, training, file, export, verification."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from kd.data.augmentation import NO_AUGMENTATION
from kd.data.dataset import DataSet, values
from kd.distil.train import RungTask, train_rung
from kd.distil.views import UNAUGMENTED, make_view, open_view, view_source
from kd.environment import current
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate, normalise
from kd.students.file import load_student, save_student
from kd.students.onnx import export_onnx
from kd.students.results import SeedResult, StudentResults
from kd.students.verify import verify_student
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource
from kd.teachers.training import finish, teach_epoch
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.blocks.liquid import LiquidScan
from space.budget import Budget

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["sequences", "colours"])
def test_from_teacher_to_export(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    data: DataSet = request.getfixturevalue(kind)
    policy = replace(NO_AUGMENTATION, jitter=0.05, time_shift=0.05, mixup=0.1)
    recipe = teachers.TeacherRecipe(widths=(16, 32, 32), epochs=6, batch=50, ema=0.9, augmentation=policy)
    for _ in range(recipe.epochs):
        teach_epoch(data.source, recipe, tmp_path / "teacher.safetensors", 1, "cpu")
    finish(data, recipe, tmp_path / "teacher.safetensors", CPU)
    stored = teachers.load(tmp_path / "teacher.safetensors", CPU)
    teachers.check(stored, data)
    assert stored.mean.flatten().tolist() == pytest.approx(data.mean)
    assert stored.std.flatten().tolist() == pytest.approx(data.std)
    assert teachers.accuracy(stored, data.test, CPU) > 0.5

    source = view_source(
        tmp_path / "views", data, TeacherSource(models=(str(tmp_path / "teacher.safetensors"),)), policy
    )
    for index in (UNAUGMENTED, 0):
        make_view(source, index, "cpu")
    view = open_view(source, 0)
    assert view.images.dtype == data.train.images.dtype
    expected = stored(values(view.images)).detach()
    torch.testing.assert_close(view.logits.float(), expected, rtol=1e-2, atol=1e-2)

    blocks = (
        (Convolution(width=8, kernel=5), LiquidScan(cell="cfc", hidden=12))
        if kind == "sequences"
        else (Convolution(width=12, kernel=5, stride=2), Convolution(width=16, stride=2), GlobalAverage())
    )
    student = Architecture(family="hybrid", shape=data.shape, classes=data.classes, blocks=blocks)
    before = data.train.images.clone()
    training = Recipe(epochs=6, views=1, batch=25, warmup=0.03, augmentation=policy)
    result = train_rung(RungTask(architecture=student, recipe=training, seed=0, start=0, stop=6, views=source))
    assert result.failure is None
    assert result.curve[-1].validation_accuracy > 0.3
    assert torch.equal(data.train.images, before)

    folder = tmp_path / student.digest
    folder.mkdir()
    (folder / "architecture.json").write_text(student.to_json())
    path = folder / "seed-0.safetensors"
    save_student(path, averaged_weights(result.checkpoint), student, data)
    trained = load_student(path)
    assert (trained.mean, trained.std) == (data.mean, data.std)
    test = evaluate(trained.module, data.test, data, CPU).accuracy
    results = StudentResults(
        architecture=student.to_dict(),
        digest=student.digest,
        family=student.family,
        cost=asdict(student.cost()),
        seeds=(SeedResult(seed=0, validation=result.curve[-1].validation_accuracy, test=test, seconds=1.0),),
        test_mean=test,
        test_deviation=None,
        environment=current("cpu"),
    )
    (folder / "results.json").write_text(results.to_json())
    export_onnx(path, folder / "student.onnx", data.test.images)
    session = onnxruntime.InferenceSession(folder / "student.onnx", providers=["CPUExecutionProvider"])
    (answer,) = session.run(["logits"], {session.get_inputs()[0].name: values(data.test.images[:50]).numpy()})
    with torch.no_grad():
        expected = trained.module(normalise(data.test.images[:50], data, CPU))
    np.testing.assert_allclose(answer, expected.numpy(), rtol=1e-3, atol=1e-4)
    checks = verify_student(folder, data, Budget(parameters=100_000))
    assert [check for check in checks if not check.ok] == []
