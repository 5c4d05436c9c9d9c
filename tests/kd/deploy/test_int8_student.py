"""A student on real data, quantised: its file, its figures, its C, and what verification finds of damage."""

import json
import shutil
import statistics
from dataclasses import asdict, replace
from pathlib import Path

import onnx
import pytest
import torch

from kd.data.dataset import DataSet
from kd.deploy import int8_student
from kd.deploy.calibration import Calibration, calibrate
from kd.deploy.export import export_forms
from kd.deploy.finetune import can_be_tuned, fine_tune, twin_accuracy
from kd.deploy.int8_file import int8_scores, is_int8, load_int8
from kd.deploy.int8_student import Int8Task, quantise_student
from kd.deploy.interpret import Site
from kd.deploy.lower import lower
from kd.deploy.onnx import export_onnx
from kd.deploy.places import FORMATS, ONNX, int8_path
from kd.deploy.program import Program
from kd.deploy.reference import answer
from kd.deploy.verify import verify_exports
from kd.distil.train import RungTask, train_rung
from kd.distil.views import UNAUGMENTED, ViewSource, open_view
from kd.environment import current
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import Recipe
from kd.students.file import load_student, save_student
from kd.students.results import SeedResult, StudentResults
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.depthwise import Separable, SqueezeExcite
from space.blocks.liquid import LiquidScan
from space.errors import InputError

BLOCKS = (
    Convolution(width=6, kernel=5, stride=2, activation="silu"),
    ResidualConvolution(repeats=2, activation="silu"),
    SqueezeExcite(width=2),
    Separable(width=8, stride=2, activation="hardswish"),
    GlobalAverage(),
)
STUDENT = Architecture(family="depthwise", shape=(1, 28, 28), classes=10, blocks=BLOCKS)
RECIPE = Recipe(epochs=8, views=2, batch=20)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, small_views: ViewSource, small_data: DataSet) -> Int8Task:
    """Quantisation of a student that was trained a little."""
    folder = tmp_path_factory.mktemp("students") / STUDENT.digest
    folder.mkdir()
    result = train_rung(
        RungTask(architecture=STUDENT, recipe=RECIPE, seed=0, start=0, stop=RECIPE.epochs, views=small_views)
    )
    weights = folder / "seed-0.safetensors"
    save_student(weights, averaged_weights(result.checkpoint), STUDENT, small_data)
    return Int8Task(
        weights=weights, target=int8_path(weights), data=small_data.source, views=small_views, recipe=RECIPE
    )


@pytest.fixture(scope="module")
def folder(task: Int8Task, small_data: DataSet) -> Path:
    """The folder of the student, quantised and exported, with results."""
    scores, folder = quantise_student(task), task.weights.parent
    test = load_student(task.weights).accuracy(small_data.test)
    seed = SeedResult(
        seed=0, validation=0.5, test=test, seconds=1.0, int8_test=scores.test.accuracy, int8_passes=scores.tuned
    )
    results = StudentResults(
        architecture=STUDENT.to_dict(),
        digest=STUDENT.digest,
        family=STUDENT.family,
        cost=asdict(STUDENT.cost()),
        seeds=(seed,),
        test_mean=test,
        test_deviation=None,
        environment=current("cpu"),
        int8_mean=statistics.fmean([scores.test.accuracy]),
    )
    (folder / "architecture.json").write_text(STUDENT.to_json())
    (folder / "results.json").write_text(results.to_json())
    export_onnx(task.weights, folder / ONNX, small_data.test.images[:64])
    export_forms(task.weights, folder, FORMATS, small_data.train.images, small_data.test.images)
    return folder


def test_int8_loses_little_and_its_file_gives_the_same_answers(
    task: Int8Task, folder: Path, small_data: DataSet
) -> None:
    scores, student = int8_scores(task.target), load_student(task.weights)
    assert scores is not None
    assert folder.is_dir()
    accuracy = student.accuracy(small_data.test)
    assert accuracy > 0.6
    assert scores.test.accuracy >= accuracy - 0.02
    answers, _ = answer(load_int8(task.target), small_data.test.images)
    assert float((answers == small_data.test.labels).double().mean()) == scores.test.accuracy


def test_files_of_other_things_are_refused_in_one_line(task: Int8Task, folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "int8-0.safetensors"
    cut.write_bytes(int8_path(folder / "seed-0.safetensors").read_bytes()[:-10])
    for path in (task.weights, cut, tmp_path / "none.safetensors"):
        with pytest.raises(InputError, match="cannot read a quantised student") as caught:
            load_int8(path)
        assert "\n" not in str(caught.value)
        assert not is_int8(path)
    assert is_int8(task.target)
    assert int8_scores(task.weights) is None
    assert int8_scores(tmp_path / "none.safetensors") is None


def coarse(calibration: Calibration, program: Program, factor: float) -> Calibration:
    """Limits of activations `factor` times too wide: int8 of fewer steps."""
    last = len(program.operations) - 1
    sites: list[Site] = [site for site in calibration.kept if site[0] not in (-1, last)]
    wide = {site: replace(calibration.kept[site], scale=factor * calibration.kept[site].scale) for site in sites}
    return replace(calibration, kept={**calibration.kept, **wide})


def test_fine_tuning_wins_back_what_rounding_loses(
    task: Int8Task, small_views: ViewSource, small_data: DataSet
) -> None:
    program = lower(load_student(task.weights))
    limits = coarse(calibrate(program, small_data.train.images[:200]), program, 24.0)
    before, floating = twin_accuracy(program, limits, small_data), twin_accuracy(program, None, small_data)
    assert before < floating - 0.02
    views = [open_view(small_views, index) for index in (UNAUGMENTED, 0, 1, UNAUGMENTED)]
    tuned = fine_tune(program, limits, views, RECIPE)
    assert twin_accuracy(tuned, limits, small_data) > before + 0.5 * (floating - before)
    assert program.values == tuned.values


def test_a_student_that_loses_is_tuned_and_keeps_the_better(
    task: Int8Task, small_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_student, "TOLERATED", -1.0)  # any loss is too much
    scores = quantise_student(replace(task, target=task.target.with_name("tuned.safetensors")))
    assert scores.tuned in (0, int8_student.PASSES)
    untuned = int8_scores(task.target)
    assert untuned is not None
    assert scores.test.accuracy >= untuned.test.accuracy - 0.03


def test_ltc_synapses_are_not_fine_tuned(small_data: DataSet) -> None:
    from deployed import random_student

    for cell, tunable in (("ltc", False), ("cfc", True)):
        blocks = (LiquidScan(cell=cell, hidden=3),)  # type: ignore[arg-type]
        architecture = Architecture(family="liquid", shape=small_data.shape, classes=10, blocks=blocks)
        assert can_be_tuned(lower(random_student(architecture))) is tunable


def test_a_sound_folder_passes_every_check(folder: Path, small_data: DataSet) -> None:
    checks = list(verify_exports(folder, small_data))
    names = ["student.onnx", "student.onnx values", "seed 0 int8", "student-int8.onnx", "c", "c-int8"]
    assert [check.name for check in checks] == names
    assert all(check.ok for check in checks), checks


def test_changed_code_weights_and_claims_are_found(folder: Path, small_data: DataSet, tmp_path: Path) -> None:
    def failed(name: str) -> list[str]:
        return [check.name for check in verify_exports(tmp_path / name / STUDENT.digest, small_data) if not check.ok]

    for name in ("code", "twin", "claim", "onnx", "foreign", "weights"):
        shutil.copytree(folder, tmp_path / name / STUDENT.digest)
    code = tmp_path / "code" / STUDENT.digest / "c-int8" / "student.c"
    code.write_text(code.read_text().replace("32768", "32767"))
    assert failed("code") == ["c-int8"]
    (tmp_path / "twin" / STUDENT.digest / "int8-0.safetensors").write_bytes(b"nothing")
    assert failed("twin") == ["seed 0 int8", "student-int8.onnx", "c-int8"]
    (tmp_path / "onnx" / STUDENT.digest / "student.onnx").unlink()
    (tmp_path / "onnx" / STUDENT.digest / "student-int8.onnx").write_bytes(b"hello")
    assert failed("onnx") == ["student.onnx", "student-int8.onnx"]
    floating = tmp_path / "foreign" / STUDENT.digest / "student.onnx"
    model = onnx.load(floating)
    stored = next(one for one in model.graph.initializer if len(one.dims) == 4)
    stored.raw_data = bytes(len(stored.raw_data))  # a layer of nothing
    onnx.save(model, floating)
    assert failed("foreign") == ["student.onnx"]
    (tmp_path / "weights" / STUDENT.digest / "seed-0.safetensors").unlink()
    assert failed("weights") == ["student.onnx", "c", "c-int8"]
    path = tmp_path / "claim" / STUDENT.digest / "results.json"
    claimed = json.loads(path.read_text())
    claimed["seeds"][0]["int8_test"] += 1 / len(small_data.test.labels)
    path.write_text(json.dumps(claimed))
    assert failed("claim") == ["seed 0 int8"]


def test_sequences_of_any_scale_are_quantised(sequences: DataSet) -> None:
    from deployed import random_student

    blocks = (LiquidScan(cell="cfc", hidden=6),)
    architecture = Architecture(family="liquid", shape=sequences.shape, classes=10, blocks=blocks)
    student = replace(random_student(architecture), mean=sequences.mean, std=sequences.std)
    program = lower(student)
    from kd.deploy.quantize import quantize

    integers = quantize(program, calibrate(program, sequences.train.images[:100]))
    answers, _ = answer(integers, sequences.test.images)
    assert (answers == student.predict(sequences.test.images)).double().mean() > 0.8
    assert torch.equal(answers, answer(integers, sequences.test.images)[0])
