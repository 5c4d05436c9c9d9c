import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kd.data.dataset import DataSet
from kd.distil.train import RungTask, train_rung
from kd.distil.views import ViewSource
from kd.environment import current
from kd.optim.checkpoint import averaged_weights
from kd.optim.recipe import Recipe
from kd.students.evaluate import evaluate
from kd.students.file import load_student, save_student
from kd.students.results import SeedResult, StudentResults
from kd.students.verify import verify_student
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.budget import Budget
from space.errors import InputError

STUDENT = Architecture(
    family="cnn",
    shape=(1, 28, 28),
    classes=10,
    blocks=(Convolution(width=6, kernel=5, stride=2), ResidualConvolution(repeats=2), GlobalAverage()),
)
RECIPE = Recipe(epochs=1, views=2, batch=50)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, small_views: ViewSource, small_data: DataSet) -> Path:
    """The folder of a student retrained with two seeds."""
    folder = tmp_path_factory.mktemp("students") / STUDENT.digest
    folder.mkdir()
    (folder / "architecture.json").write_text(STUDENT.to_json())
    seeds = []
    for seed in (0, 1):
        result = train_rung(
            RungTask(architecture=STUDENT, recipe=RECIPE, seed=seed, start=0, stop=1, views=small_views)
        )
        path = folder / f"seed-{seed}.safetensors"
        save_student(path, averaged_weights(result.checkpoint), STUDENT, small_data)
        test = evaluate(load_student(path).module, small_data.test, small_data, torch.device("cpu")).accuracy
        validation = result.curve[-1].validation_accuracy
        seeds.append(SeedResult(seed=seed, validation=validation, test=test, seconds=1.0))
    tests = [seed.test for seed in seeds]
    results = StudentResults(
        architecture=STUDENT.to_dict(),
        digest=STUDENT.digest,
        family=STUDENT.family,
        cost=asdict(STUDENT.cost()),
        seeds=tuple(seeds),
        test_mean=statistics.fmean(tests),
        test_deviation=statistics.stdev(tests),
        environment=current("cpu"),
    )
    (folder / "results.json").write_text(results.to_json())
    return folder


def failed(folder: Path, data: DataSet, budget: Budget | None = None) -> set[str]:
    return {check.name for check in verify_student(folder, data, budget or Budget()) if not check.ok}


def test_a_sound_folder_passes_every_check(sound: Path, small_data: DataSet) -> None:
    checks = verify_student(sound, small_data, Budget())
    assert [check for check in checks if not check.ok] == []
    assert [check.name for check in checks] == [
        "digest",
        "budget",
        "results.json",
        "seeds",
        "seed 0 parameters",
        "seed 0 origin",
        "seed 0 test",
        "seed 0 validation",
        "seed 1 parameters",
        "seed 1 origin",
        "seed 1 test",
        "seed 1 validation",
    ]
    parameters = f"{STUDENT.cost().parameters:,}"
    details = {check.name: check.detail for check in checks}
    assert details["budget"] == f"parameters {parameters} < 10,000"
    assert details["seed 0 parameters"] == f"closed form {parameters}, stored tensors {parameters}, module {parameters}"
    assert all("\n" not in check.detail for check in checks)


def test_a_broken_budget_is_seen(sound: Path, small_data: DataSet) -> None:
    parameters = STUDENT.cost().parameters
    assert failed(sound, small_data, Budget(parameters=parameters)) == {"budget"}
    assert failed(sound, small_data, Budget(parameters=parameters + 1)) == set()


def other_weights(folder: Path, data: DataSet) -> None:
    """Seed 1 with one class never answered."""
    path = folder / "seed-1.safetensors"
    student = load_student(path)
    weights = student.module.state_dict()
    weights["classifier.bias"][int(torch.bincount(data.test.labels).argmax())] = -100
    weights["classifier.bias"][0] = 100
    save_student(path, weights, STUDENT, data)


def other_network(folder: Path, data: DataSet) -> None:
    """Seed 1 of a network that is larger by one repeat's norm."""
    wider = replace(STUDENT, blocks=(STUDENT.blocks[0], ResidualConvolution(repeats=3), GlobalAverage()))
    path = folder / "seed-1.safetensors"
    weights = load_student(path).module.state_dict()
    third = {name.replace("norms.1", "norms.2"): t for name, t in weights.items() if "norms.1" in name}
    save_student(path, weights | third, wider, data)


def other_data(folder: Path, data: DataSet) -> None:
    path = folder / "seed-0.safetensors"
    weights = load_student(path).module.state_dict()
    save_student(path, weights, STUDENT, replace(data, digest="0" * 16))


def results(change: Callable[[dict[str, Any]], object]) -> Callable[[Path, DataSet], None]:
    def tamper(folder: Path, _: DataSet) -> None:
        content = json.loads((folder / "results.json").read_text())
        change(content)
        (folder / "results.json").write_text(json.dumps(content))

    return tamper


def file(name: str, content: bytes | None) -> Callable[[Path, DataSet], None]:
    def tamper(folder: Path, _: DataSet) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)

    return tamper


def better_by(images: int) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content["seeds"][0]["test"] += images / 300
        content["test_mean"] = statistics.fmean(seed["test"] for seed in content["seeds"])
        content["test_deviation"] = statistics.stdev(seed["test"] for seed in content["seeds"])

    return change


def test_another_processor_may_round_one_image_the_other_way(sound: Path, tmp_path: Path, small_data: DataSet) -> None:
    folder = tmp_path / STUDENT.digest
    shutil.copytree(sound, folder)
    results(better_by(images=1))(folder, small_data)
    assert failed(folder, small_data) == set()


def test_results_of_another_format_are_refused(sound: Path, tmp_path: Path, small_data: DataSet) -> None:
    folder = tmp_path / STUDENT.digest
    shutil.copytree(sound, folder)
    results(lambda r: r.update(format=2))(folder, small_data)
    (check,) = verify_student(folder, small_data, Budget())
    assert (check.name, check.ok) == ("files", False)
    assert "is of format 2, not 1: make it again" in check.detail


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (other_network, {"seed 1 parameters", "seed 1 origin"}),
        (other_data, {"seed 0 origin"}),
        (results(better_by(images=2)), {"seed 0 test"}),
        (results(lambda r: r.update(test_mean=r["test_mean"] + 1e-6)), {"results.json"}),
        (results(lambda r: r.update(test_deviation=None)), {"results.json"}),
        (results(lambda r: r.update(digest="0" * 12)), {"results.json"}),
        (results(lambda r: r.update(family="mlp")), {"results.json"}),
        (
            results(lambda r: r["seeds"][0].update(validation=1.0)),
            {"seed 0 validation"},
        ),
        (results(lambda r: r["architecture"].update(classes=11)), {"results.json"}),
        (results(lambda r: r["cost"].update(parameters=r["cost"]["parameters"] - 1)), {"results.json"}),
        (results(lambda r: r.pop("seeds")), {"files"}),
        (results(lambda r: r.pop("format")), {"files"}),
        (results(lambda r: r.pop("environment")), {"files"}),
        (results(lambda r: r.update(seeds=[])), {"results.json", "seeds"}),
        (file("results.json", None), {"files"}),
        (file("results.json", b"{"), {"files"}),
        (file("architecture.json", b"{}"), {"files"}),
        (file("seed-2.safetensors", b"hello"), {"seeds"}),
    ],
)
def test_tampering_is_seen(
    tamper: Callable[[Path, DataSet], None],
    broken: set[str],
    sound: Path,
    tmp_path: Path,
    small_data: DataSet,
) -> None:
    folder = tmp_path / STUDENT.digest
    shutil.copytree(sound, folder)
    tamper(folder, small_data)
    # what disagrees with a seed may disagree with more, like its accuracy
    assert broken <= failed(folder, small_data)
    if tamper is not other_network:
        assert failed(folder, small_data) == broken


def test_other_weights_are_seen(sound: Path, tmp_path: Path, small_data: DataSet) -> None:
    folder = tmp_path / STUDENT.digest
    shutil.copytree(sound, folder)
    other_weights(folder, small_data)
    assert "seed 1 test" in failed(folder, small_data)


def test_missing_weights_are_seen(sound: Path, tmp_path: Path, small_data: DataSet) -> None:
    folder = tmp_path / STUDENT.digest
    shutil.copytree(sound, folder)
    for seed in (0, 1):
        (folder / f"seed-{seed}.safetensors").unlink()
    assert failed(folder, small_data) == {"seeds"}


def test_a_damaged_weights_file_is_seen(sound: Path, tmp_path: Path, small_data: DataSet) -> None:
    folder = tmp_path / STUDENT.digest
    shutil.copytree(sound, folder)
    (folder / "seed-0.safetensors").write_bytes(b"hello")
    assert "seed 0" in failed(folder, small_data)


def test_a_folder_of_another_name_is_seen(sound: Path, tmp_path: Path, small_data: DataSet) -> None:
    shutil.copytree(sound, tmp_path / "renamed")
    assert failed(tmp_path / "renamed", small_data) == {"digest"}


def test_no_folder_is_refused(tmp_path: Path, small_data: DataSet) -> None:
    with pytest.raises(InputError, match="no retrained student"):
        verify_student(tmp_path / "none", small_data, Budget())
