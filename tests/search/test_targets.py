"""Students by name, file, trial or digest: shown, and retrained with a study's recipe."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from itertools import count
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from kd.data.dataset import DataSource
from kd.distil.views import open_view
from kd.students.curve import Epoch
from search.cli.app import app
from search.engine.fake import FakeEngine
from search.progress import Progress
from space.architecture import Architecture
from space.blocks.base import Positive
from space.blocks.convolution import Convolution, GlobalAverage, Pool
from space.blocks.mlp import Dense
from space.errors import InputError
from studies.configuration import file as config_file
from studies.configuration import written
from studies.records import student_records, trial_records
from studies.shipped import find, names
from studies.storage.directory import RunDirectory
from studies.storage.ledger import Rung
from studies.store import create, opened, stored_config

PRESET = """
teacher = "mnist"

[data]
name = "{data}"
validation = 200

[recipe]
batch = 64
views = 1

[retrain]
seeds = 1

[retrain.recipe]
epochs = 1
batch = 64
views = 1
"""


def student(side: Positive = 28, width: int = 8) -> Architecture:
    return Architecture(family="mlp", shape=(1, side, side), classes=10, blocks=(Pool(), Dense(width=width)))


CNN = Architecture(
    family="cnn", shape=(1, 28, 28), classes=10, blocks=(Convolution(width=4, kernel=5, stride=2), GlobalAverage())
)


def wunderkind(*arguments: str, runs: Path) -> str:
    """What the command line prints; raises what it raises."""
    result = CliRunner().invoke(app, [*arguments, "--runs", str(runs)], catch_exceptions=False, env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    return result.output


def retrain(runs: Path, *arguments: str, study: str = "small") -> str:
    return wunderkind("retrain", study, *arguments, "--workers", "1", "--device", "cpu", runs=runs)


def distil(runs: Path, *arguments: str, preset: str = "small") -> str:
    return wunderkind("distil", preset, *arguments, "--workers", "1", "--device", "cpu", runs=runs)


@pytest.fixture(autouse=True)
def preset(tmp_path: Path, small_source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """One preset, `small`, on a slice of MNIST."""
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "small.toml").write_text(PRESET.format(data=small_source.name))
    monkeypatch.setattr(written, "PRESETS", folder)


def test_architectures_that_no_search_found_are_distilled_by_a_preset(tmp_path: Path) -> None:
    runs, file = tmp_path / "runs", tmp_path / "cnn.json"
    file.write_text(CNN.to_json())
    named = find("row-column")
    said = distil(runs, "row-column", str(file), "row-column")
    assert "retraining 2 students, 1 seed each" in said
    assert f"Next: wunderkind verify small --runs {runs}   counts" in said
    assert f"Next: wunderkind run --name small --runs {runs}   searches for others" in said
    directory = RunDirectory(root=runs, name="small")
    with opened(directory) as store:
        records = student_records(store)
    assert [(r.architecture, r.trial, len(r.seeds)) for r in records] == [(CNN, None, 1), (named, None, 1)]
    text = re.sub("</?span>", "", directory.page.read_text())
    for digest in (CNN.digest, named.digest):
        assert digest in wunderkind("status", "small", runs=runs)
        assert f"wunderkind retrain small --runs {runs} --student {digest}" in text
        assert digest in wunderkind("show", "small", "--student", digest, runs=runs)
    assert "FAILED" not in wunderkind("verify", "small", runs=runs)

    # a seed more for one of them, by its digest: the other is left alone
    folders = [directory.student(digest) for digest in (CNN.digest, named.digest)]
    before = [{path.name: path.stat().st_mtime_ns for path in folder.iterdir()} for folder in folders]
    retrain(runs, "--student", named.digest, "--seeds", "2")
    retrain(runs, "--student", str(file))
    after = [{path.name: path.stat().st_mtime_ns for path in folder.iterdir()} for folder in folders]
    assert after[0] == before[0]
    changed = {name for name in after[1] if after[1][name] != before[1].get(name)}
    written = {"architecture.json", "results.json", "manifest.json", "card.md", "student.html", "answers-1.safetensors"}
    exports = {
        "seed-1.safetensors",
        "int8-1.safetensors",
        "student.onnx",
        "student-int8.onnx",
        "c",
        "c-int8",
        "arduino",
    }
    assert changed == written | exports
    # an export that was lost comes back
    (folders[0] / "student.onnx").unlink()
    retrain(runs, "--student", CNN.digest)
    assert "FAILED" not in wunderkind("verify", "small", runs=runs)


def test_a_preset_is_distilled_by_with_changes_under_another_name(tmp_path: Path) -> None:
    runs, changes = tmp_path / "runs", ("--name", "long", "--teacher", "mnist-1", "--set", "retrain.recipe.epochs=2")
    distil(runs, "row-column", *changes)
    assert not (runs / "small").exists()
    directory = RunDirectory(root=runs, name="long")
    with opened(directory) as store:
        assert student_records(store)[0].seeds[0].curve[-1].epoch == 2
    before = stored_config(directory)
    assert before.teacher.models == ("mnist-1",)
    assert "retraining 1 student, 1 seed each" in distil(runs, "row-column", *changes)
    retrain(runs, "--student", "row-column", study="long")
    with pytest.raises(InputError, match=r"retrain\.recipe\.epochs is 2, not 3"):
        distil(runs, "row-column", *changes[:-1], "retrain.recipe.epochs=3")
    assert stored_config(directory) == before


def test_all_that_is_labelled_is_trained_on_if_asked(tmp_path: Path, small_source: DataSource) -> None:
    merged = "seeds = 2\nwith_validation = true"
    settings = PRESET.replace("seeds = 1", merged).replace("epochs = 1", "epochs = 2\nweak_augmentation = 0.5")
    (written.PRESETS / "merged.toml").write_text(settings.format(data=small_source.name))
    runs = tmp_path / "runs"
    said = distil(runs, "row-column", preset="merged")
    directory = RunDirectory(root=runs, name="merged")
    with opened(directory) as store:
        (record,) = student_records(store)
        labelled = torch.cat([store.data.train.labels, store.data.validation.labels])
        for source in (store.retrain_views, store.retrain_views.weak()):
            assert torch.equal(open_view(source, 0).labels.sort().values, labelled.sort().values)
        assert not store.views.folder.exists()  # nothing was searched
        assert (record.validation, record.merit) == (None, None)
        accuracy = store.ledger.rungs(store.training(record.architecture.digest, 0))[-1].curve[-1].validation_accuracy
    folder = directory.student(record.architecture.digest)
    told = json.loads((folder / "results.json").read_text())
    assert [seed["validation"] for seed in told["seeds"]] == [None, None]
    for text in (said, directory.page.read_text(), wunderkind("status", "merged", runs=runs)):
        assert f"{100 * accuracy:.2f} %" not in text
    assert "1 student retrained, none within the budget with a validation accuracy to choose one by" in said
    assert "FAILED" not in wunderkind("verify", "merged", runs=runs)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        (student(side=8), r"takes \(1, 8, 8\) inputs of 10 classes, small has \(1, 28, 28\) inputs of 10"),
        (student(width=60), "breaks the study's budget .parameters 12,490 ≥ 10,000"),
    ],
)
def test_a_student_that_cannot_be_distilled_is_refused(architecture: Architecture, words: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(architecture.to_json())
    with pytest.raises(InputError, match=words):
        distil(tmp_path / "runs", str(file))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("distil", ("small", "row-colum"), "unknown architecture 'row-colum': did you mean row-column"),
        ("distil", ("smal", "row-column"), "unknown preset 'smal': did you mean small"),
        ("retrain", ("other", "--student", "row-column"), "no study 'other'"),
        ("retrain", ("small", "--student", "row-column"), "but a preset: .* wunderkind distil small STUDENT"),
        ("retrain", ("small",), "but a preset: .* wunderkind run small"),
    ],
)
def test_what_is_not_there_is_refused(verb: str, arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        wunderkind(verb, *arguments, "--workers", "1", runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_shipped_architectures_are_listed(tmp_path: Path) -> None:
    text = wunderkind("show", runs=tmp_path)
    for name in names():
        assert name in text
        assert f"{find(name).cost().parameters:,}" in text


def test_a_student_is_shown_and_drawn(tmp_path: Path) -> None:
    text = wunderkind("show", "tied-cnn", "--svg", str(tmp_path / "drawings" / "student.svg"), runs=tmp_path)
    assert f"cnn {find('tied-cnn').digest}" in text
    assert "9,682 parameters (9,646 deployed), 2,103,672 MACs, 3,584 B memory, 10,616 B int8" in text
    line = next(line for line in text.splitlines() if line.startswith("3×3 convolution 20"))
    assert line.split()[-5:] == ["relu", "20×7×7", "2,920", "141,120", "1,204"]
    drawing = ElementTree.parse(tmp_path / "drawings" / "student.svg").getroot()
    assert "×3" in {element.text for element in drawing.iter()}


def test_a_trial_is_shown(tmp_path: Path) -> None:
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, config_file.read("small"))
    with opened(directory) as store:
        store.study.ask().set_user_attr("architecture", CNN.to_json())
    for choice in (("--trial", "0"), ("--student", CNN.digest)):
        assert f"cnn {CNN.digest}" in wunderkind("show", "mine", *choice, runs=tmp_path)
    for arguments, words in (
        (("mine", "--trial", "7"), "no trial 7: the study has trials 0 to 0"),
        (("mine",), "'mine' is a study: say which student"),
        (("mine", "--student", "abc"), "no student 'abc' in study 'mine': it has none yet, wunderkind retrain"),
        (("mine", "--student", "0123456789ab"), "no student '0123456789ab' in study 'mine': it has none yet"),
        (("mine", "--student", "abc", "--trial", "0"), "give one of them"),
        (("--trial", "0"), "need a target"),
        (("nobody", "--trial", "0"), "no study 'nobody'"),
        (("nothing",), "unknown architecture 'nothing'"),
    ):
        with pytest.raises(InputError, match=words):
            wunderkind("show", *arguments, runs=tmp_path)


def test_the_live_display_has_a_front_once_there_is_one(tmp_path: Path) -> None:
    directory = RunDirectory(root=tmp_path, name="mine")
    create(directory, config_file.read("small"))
    shown = io.StringIO()
    with (
        opened(directory) as store,
        Progress(
            Console(file=shown, force_terminal=True, width=120), store, FakeEngine(lambda: None), count().__next__
        ) as progress,
    ):
        progress.tick()
        assert "starting" in shown.getvalue()
        assert "front" not in shown.getvalue()
        trial = store.study.ask()
        trial.set_user_attr("architecture", CNN.to_json())
        trial.set_user_attr("outcome", "complete")
        epoch = Epoch(epoch=1, train_loss=1.0, validation_accuracy=0.9, validation_loss=1.0, seconds=1.0)
        store.ledger.record_rung(store.training(CNN.digest), Rung(epochs=1, curve=(epoch,), seconds=1.0))
        progress.trials = trial_records(store)
        progress.tick()
        assert "front" in shown.getvalue()
