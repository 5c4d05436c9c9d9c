"""Teachers from the command line: measured by themselves, and before a study begins."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import MLP_STUDY, wunderkind

from kd.teachers.measurement import TeacherMeasurement

STUDY = MLP_STUDY.replace("[recipe]", '[recipe]\naugmentation = "none"')


@pytest.fixture
def folder(small_source: object, tmp_path: Path) -> Path:
    """A study to be, and three files of logits: a teacher's, the same with its columns rolled, and chance."""
    name = small_source.name  # type: ignore[attr-defined]
    (tmp_path / "mine.toml").write_text(STUDY.format(data=name))
    with np.load(name) as archive:
        right = 8 * np.eye(10, dtype=np.float32)[archive["y_train"]]
    np.save(tmp_path / "right.npy", right)
    np.save(tmp_path / "rolled.npy", np.roll(right, 1, axis=1))
    np.save(tmp_path / "chance.npy", np.zeros_like(right))
    return tmp_path


def one_line(result: subprocess.CompletedProcess[str], words: str) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_teachers_are_measured_alone(folder: Path, small_source: object) -> None:
    data = str(small_source.name)  # type: ignore[attr-defined]
    measure = ["teachers", data, "--validation", "200"]
    both = wunderkind(*measure, "--teacher", "mnist", "--teacher", "mnist-1", folder=folder)
    assert both.returncode == 0, both.stderr
    first, second, together, chance = both.stdout.splitlines()
    assert first.startswith("teacher mnist-teacher.safetensors: ")
    assert second.startswith("teacher mnist-1-teacher.safetensors: ")
    assert together.startswith("teacher ensemble: ")
    assert "of 1,000 training and" in first
    assert "calibration error" in first
    assert chance.startswith("by chance 10.0 % would be right, ")
    one_line(wunderkind(*measure, "--teacher", "chance.npy", folder=folder), "is right for")
    one_line(wunderkind(*measure, folder=folder), "no teacher is named, and none is shipped for")


def test_a_study_whose_teacher_is_at_chance_leaves_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    run = ["run", "mine.toml", "--workers", "1", "--teacher"]
    one_line(wunderkind(*run, "chance.npy", folder=folder), "is right for")
    one_line(wunderkind(*run, "rolled.npy", folder=folder), "'teacher.classes=[9, 0, 1, 2, 3, 4, 5, 6, 7, 8]'")
    distil = ["distil", "mine.toml", "flat-cnn", "--workers", "1", "--teacher", "chance.npy"]
    one_line(wunderkind(*distil, folder=folder), "is right for")
    assert sorted(folder.iterdir()) == before
    (folder / "my_code.py").write_text("import sys\nprint('training')\nsys.exit(7)\n")
    one_line(wunderkind(*run, "my_code:Net", folder=folder), "ended the program")


def test_what_was_measured_is_kept_and_reported_without_the_teacher(folder: Path) -> None:
    setting = "teacher.classes=[9, 0, 1, 2, 3, 4, 5, 6, 7, 8]"
    run = ["run", "mine.toml", "--workers", "1", "--teacher", "rolled.npy", "--set", setting]
    result = wunderkind(*run, folder=folder)
    assert result.returncode == 0, result.stderr
    assert "teacher rolled.npy: 100.0 % of 1,000 training samples right, mean confidence 99.7 %" in result.stdout
    kept = TeacherMeasurement.from_json(folder / "runs" / "mine" / "teachers.json")
    assert kept.teachers[0].train.accuracy == 1
    assert "| rolled.npy | 100.00 % | – | 99.70 % |" in (folder / "runs" / "mine" / "report" / "report.md").read_text()
    assert "<td>rolled.npy</td>" in (folder / "runs" / "mine" / "report" / "index.html").read_text()
    (folder / "rolled.npy").unlink()
    for verb in ("status", "report", "verify"):
        result = wunderkind(verb, "mine", folder=folder)
        assert result.returncode == 0, result.stderr
    one_line(wunderkind("retrain", "mine", folder=folder), "no teacher at")
    np.save(folder / "rolled.npy", np.roll(8 * np.eye(10, dtype=np.float32)[np.arange(1_200) % 10], 1, axis=1))
    one_line(wunderkind("retrain", "mine", folder=folder), "is right for")
