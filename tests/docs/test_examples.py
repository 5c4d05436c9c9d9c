"""Every example of the documents does what it says."""

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

import wunderkind as wk
from kd.data.dataset import load_once
from studies.configuration.file import read

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
RUN_HERE = {
    "digits.toml",
    "distil_student.py",
    "search_architectures.py",
    "own_data_and_teacher.py",
    "pareto_pruner.py",
    "run_onnx.py",
    "search_space.ipynb",
}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_run_by_a_test() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == RUN_HERE


def test_distil_a_student_and_run_its_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("distil_student.py").main(tmp_path, samples=1_500, epochs=6)
    accuracy = capsys.readouterr().out.rpartition("test accuracy ")[2]
    assert float(accuracy.strip(" %\n")) > 50

    data = wk.load_data("mnist").first(2)
    for index, image in enumerate(data.test.images):
        Image.fromarray(image[0].numpy()).save(tmp_path / f"{index}.png")
    pictures = [str(tmp_path / f"{index}.png") for index in range(2)]
    student = wk.load_student(tmp_path / "student.safetensors")
    found = load("run_onnx.py").classify(str(tmp_path / "student.onnx"), pictures)
    assert [label for label, _ in found] == student.predict(data.test.images).tolist()


def test_pruning_a_study_of_ones_own() -> None:
    example = load("pareto_pruner.py")
    _, all_passes = example.main(trials=12, rule="none")
    pruned, passes = example.main(trials=12)
    assert all_passes == 12 * example.RUNGS[-1]
    assert passes < 0.8 * all_passes
    assert len(pruned.best_trials) >= 2
    assert max(trial.values[0] for trial in pruned.best_trials) > 0.9


def test_own_data_and_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("own_data_and_teacher.py").main(tmp_path)
    assert float(capsys.readouterr().out.rpartition("accuracy ")[2].strip(" %\n")) > 90


def test_search(study_file: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            str(EXAMPLES / "search_architectures.py"),
            str(study_file),
            "search.trials=3",
            "retrain.seeds=1",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    assert "test_accuracy" in result.stdout
    assert (tmp_path / "runs" / "example" / "front.html").is_file()


def test_the_space_in_a_notebook() -> None:
    notebook = nbformat.read(EXAMPLES / "search_space.ipynb", as_version=4)
    NotebookClient(notebook, timeout=200).execute()


def test_the_study_of_ones_own_digits_fits_the_arrays_that_the_gallery_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = (EXAMPLES.parent / "gallery.md").read_text()
    code = gallery.partition('python -c "\n')[2].partition('"\n')[0]
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    (tmp_path / "digits.toml").write_text((EXAMPLES / "digits.toml").read_text())
    config = read("digits.toml")
    data = load_once(config.data)
    assert (data.shape, data.classes, config.budget.parameters) == ((1, 8, 8), 10, 1_000)
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [1_200, 200, 397]
