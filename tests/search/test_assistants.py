"""Studies with an assistant between teacher and students, on a small slice of MNIST."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from kd.data.dataset import ASSETS, DataSet, DataSource
from kd.distil.views import open_view
from kd.students.evaluate import evaluate
from kd.students.file import Deployed, load_student
from search.run import Machine, run_study
from space.architecture import Architecture
from space.blocks.base import Positive
from space.blocks.convolution import Convolution, GlobalAverage
from space.errors import InputError
from studies.configuration.config import Config
from studies.configuration.file import read
from studies.records import student_records
from studies.storage.directory import RunDirectory
from studies.store import opened, stored_config

STUDY = """
teacher = "mnist"

[data]
name = "{data}"
validation = 200

[assistants]
architectures = ["{assistant}"]

[assistants.recipe]
epochs = 7
warmup = 0.07
batch = 50
views = 1

[space]
families = ["mlp"]

[search]
trials = 2
rungs = [1]
startup = 2
floor = 0

[recipe]
views = 1

[retrain]
points = 1
seeds = 1

[retrain.recipe]
epochs = 1
batch = 50
views = 1
"""


def assistant(side: Positive = 28) -> Architecture:
    blocks = (Convolution(width=16, kernel=5, stride=2), Convolution(width=24, stride=2), GlobalAverage())
    return Architecture(family="cnn", shape=(1, side, side), classes=10, blocks=blocks)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, small_source: DataSource) -> Path:
    """Settings of a study taught by `helper.json`, which lies beside them."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "helper.json").write_text(assistant().to_json())
    path = folder / "small.toml"
    path.write_text(STUDY.format(data=small_source.name, assistant=folder / "helper.json"))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, study: Path) -> tuple[RunDirectory, str]:
    """A finished study and what it printed."""
    directory = RunDirectory(root=tmp_path_factory.mktemp("runs"), name="first")
    return directory, run(directory, read(str(study)))


def run(directory: RunDirectory, config: Config) -> str:
    said = io.StringIO()
    run_study(directory, config, Machine(workers=1), Console(file=said, width=200))
    return said.getvalue()


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def weights(directory: RunDirectory) -> Path:
    (path,) = directory.assistants.glob("*/assistant.safetensors")
    return path


def test_the_assistant_is_trained_as_a_student_and_logged_as_a_teacher(
    finished: tuple[RunDirectory, str], small_data: DataSet
) -> None:
    directory, said = finished
    assert "preparing 1 view with the logits of the teacher" in said
    assert "training assistant helper, 4,186 parameters" in said
    assert "assistant helper: epoch 5 of 7" in said
    assert "preparing 1 view with the logits of assistant helper" in said
    student = load_student(weights(directory))
    assert student.architecture == assistant()
    log = json.loads(weights(directory).with_suffix(".json").read_text())
    assert log.keys() == json.loads((ASSETS / "mnist-teacher.json").read_text()).keys()
    assert (log["data"], log["parameters"]) == (small_data.digest, student.parameters)
    for part in ("validation", "test"):
        split = getattr(small_data, part)
        assert log[f"{part}_accuracy"] == evaluate(student.module, split, small_data, torch.device("cpu")).accuracy
    assert [point["epoch"] for point in log["curve"]] == [1, 2, 3, 4, 5, 6, 7]
    assert log["validation_accuracy"] > 0.3


def test_students_learn_from_the_assistants_logits(finished: tuple[RunDirectory, str]) -> None:
    directory, _ = finished
    with opened(directory) as store:
        (job,) = store.assistants
        learnt, view = open_view(job.views, 0), open_view(store.views, 0)
    assert torch.equal(view.images, learnt.images)
    assert not torch.equal(view.logits, learnt.logits)
    with torch.no_grad():
        expected = Deployed(load_student(weights(directory)))(view.images.float() / 255)
    torch.testing.assert_close(view.logits.float(), expected, rtol=2e-3, atol=2e-3)


def test_the_report_shows_the_chain(finished: tuple[RunDirectory, str]) -> None:
    directory, _ = finished
    with opened(directory) as store:
        (student,) = student_records(store)
    log = json.loads(weights(directory).with_suffix(".json").read_text())
    accuracies = f"{100 * log['validation_accuracy']:.2f} % | {100 * log['test_accuracy']:.2f} %"
    table = (directory.report / "report.md").read_text().split("## From teacher to students")[1].split("##")[0]
    rows = [line.strip("| ") for line in table.splitlines()[4:] if line.startswith("|")]
    assert rows[0] == "mnist-teacher.safetensors | 288,170 | – | –"  # taught on other data: its figures are no measure
    assert rows[1] == f"assistant helper | 4,186 | {accuracies}"
    assert rows[2].startswith(f"student {student.architecture.digest} | {student.cost.parameters:,} | ")
    page = re.sub(r"<[^>]*>", " ", directory.page.read_text())
    for row in rows:
        assert " ".join(row.replace("|", "").split()) in " ".join(page.split())


def test_another_study_uses_the_assistant_that_is_there(finished: tuple[RunDirectory, str], study: Path) -> None:
    directory, _ = finished
    before = files(directory.assistants) | files(directory.cache)
    second = RunDirectory(root=directory.root, name="second")
    said = run(second, read(str(study), ["search.seed=1", "recipe.temperature=3"]))
    assert "training assistant" not in said
    assert "preparing" not in said
    assert files(directory.assistants) | files(directory.cache) == before
    assert "assistant helper | 4,186" in (second.report / "report.md").read_text()


def test_a_killed_study_goes_on_with_its_assistant(
    finished: tuple[RunDirectory, str], study: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "search", "run", str(study), "--name", "killed", "--workers", "1"]
    command += ["--device", "cpu", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        assert any("epoch 5 of 7" in line for line in process.stdout)
        process.kill()
    directory = RunDirectory(root=tmp_path, name="killed")
    assert not list(directory.assistants.rglob("*.json"))
    said = run(directory, stored_config(directory))
    assert "epoch 5 of 7" not in said
    assert "epoch 7 of 7" in said
    assert weights(directory).read_bytes() == weights(finished[0]).read_bytes()


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        (
            lambda _: "tied-cmn",
            "unknown architecture 'tied-cmn': did you mean tied-cnn.*use one of bilinear-hybrid-1k, .*flat-cnn",
        ),
        (lambda folder: str(folder / "none.json"), "no architecture file at"),
        (lambda folder: str(folder / "small.json"), r"takes \(1, 8, 8\) inputs of 10 classes, small has \(1, 28, 28\)"),
    ],
)
def test_an_assistant_that_cannot_be_is_refused_before_anything_is_written(
    study: Path, tmp_path: Path, architecture: Callable[[Path], str], words: str
) -> None:
    (tmp_path / "small.json").write_text(assistant(side=8).to_json())
    config = read(str(study), [f"assistants.architectures={json.dumps([architecture(tmp_path)])}"])
    with pytest.raises(InputError, match=words) as error:
        run(RunDirectory(root=tmp_path / "runs", name="mine"), config)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()
