import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kd.data.dataset import DataSet
from kd.students.file import save_student
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.network import build

STUDENT = Architecture(
    family="cnn", shape=(1, 28, 28), classes=10, blocks=(Convolution(width=4, stride=2), GlobalAverage())
)


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "search", "export", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("student") / "mine.safetensors"
    save_student(path, build(STUDENT).state_dict(), STUDENT, small_data)
    return path


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_file_becomes_a_folder_that_compiles_in_one_command(weights: Path, small_data: DataSet) -> None:
    done = export(str(weights), "--data", small_data.source.name)
    assert done.returncode == 0, done.stderr
    folder = weights.with_suffix("") / "c-int8"
    assert f"{folder}: constants {STUDENT.cost().int8_bytes:,} bytes" in done.stdout
    made = subprocess.run("gcc *.c && ./a.out", shell=True, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith(": ok\n")
    assert (weights.with_suffix("") / "c" / "student.c").is_file()


def test_one_form_to_another_folder(weights: Path, small_data: DataSet, tmp_path: Path) -> None:
    done = export(str(weights), "--float", "--out", str(tmp_path / "out"), "--data", small_data.source.name)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c", "student.onnx"]


def test_options_choose_language_and_arithmetic_and_judge_by_a_board(
    weights: Path, small_data: DataSet, tmp_path: Path
) -> None:
    chosen = ("--int8", "--onnx", "--board", "ch32v003", "--out", str(tmp_path / "out"))
    done = export(str(weights), *chosen, "--data", small_data.source.name)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["student-int8.onnx"]
    size = (tmp_path / "out" / "student-int8.onnx").stat().st_size
    note, first, second = done.stdout.splitlines()
    assert note.startswith(f"note: {weights} did not learn from ")
    assert first == f"{tmp_path / 'out' / 'student-int8.onnx'}: {size:,} bytes"
    assert second.startswith("ch32v003: ") and "estimated, and about" in second


def test_what_cannot_be_exported_is_one_line(weights: Path, tmp_path: Path) -> None:
    for arguments in (
        [str(tmp_path / "none.safetensors")],
        ["nothing", "--runs", str(tmp_path)],
        [str(weights), "--student", "0"],
        [str(weights), "--board", "none"],
    ):
        done = export(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
