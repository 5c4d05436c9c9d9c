"""Trained students of every kind of input are measured from their file, and the figures lie beside it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kd.data.dataset import DataSet
from kd.files import checksum
from kd.measure.measurement import Form, known
from kd.measure.target import TARGETS
from kd.students.file import load_student, save_student
from search.jobs.measuring import SAMPLES, measure_student
from space.architecture import AnyBlock, Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.blocks.depthwise import ResidualSeparable
from space.blocks.liquid import LiquidScan
from space.network import build

IMAGES: tuple[AnyBlock, ...] = (Convolution(width=4, stride=2), ResidualSeparable(repeats=2), GlobalAverage())
SEQUENCES: tuple[AnyBlock, ...] = (LiquidScan(cell="cfc", hidden=4),)


def saved(path: Path, data: DataSet, blocks: tuple[AnyBlock, ...]) -> Path:
    architecture = Architecture(family="hybrid", shape=data.shape, classes=data.classes, blocks=blocks)
    torch.manual_seed(0)
    save_student(path, build(architecture).state_dict(), architecture, data)
    return path


def needs(name: str) -> None:
    target = TARGETS[name]
    if shutil.which(target.compiler) is None or (target.bare and shutil.which(target.emulator[0]) is None):
        pytest.skip(f"needs {' '.join(target.packages)}")


@pytest.mark.parametrize("form", ["float", "int8"])
@pytest.mark.parametrize("name", TARGETS)
def test_a_student_answers_alike_here_there_and_in_pytorch(
    name: str, form: Form, tmp_path: Path, small_data: DataSet
) -> None:
    needs(name)
    path = saved(tmp_path / "student.safetensors", small_data, IMAGES)
    (found,) = measure_student(path, form, [TARGETS[name]], small_data)
    assert (found.samples, found.equal) == (SAMPLES, SAMPLES)
    assert found.answers_equal == SAMPLES if form == "float" else found.answers_equal > 0.8 * SAMPLES
    assert found.data == small_data.digest
    assert found.flash > (4 if form == "float" else 1) * load_student(path).architecture.cost().deployed_parameters
    assert (found.latency_ms is not None and 0 < found.latency_ms < 100) == (name == "host")
    assert known(path, load_student(path).architecture.digest, checksum(path)).of(name, form) == found


def test_sequences_are_measured_on_noise(tmp_path: Path, sequences: DataSet) -> None:
    path = saved(tmp_path / "student.safetensors", sequences, SEQUENCES)
    for form, alike in (("float", SAMPLES), ("int8", SAMPLES * 0.9)):
        (found,) = measure_student(path, form, [TARGETS["host"]], None)  # type: ignore[arg-type]
        assert (found.equal, found.data) == (SAMPLES, "")
        assert found.answers_equal >= alike


def test_the_command_prints_and_keeps_what_it_measured(tmp_path: Path, small_data: DataSet) -> None:
    needs("cortex-m4")
    path = saved(tmp_path / "student.safetensors", small_data, IMAGES)
    command = [sys.executable, "-m", "search", "measure", str(path), "--board", "microbit-v2"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "100 of 100 samples of noise as they should be, " in result.stdout
    assert "microbit-v2   fits, about " in result.stdout
    assert result.stdout.endswith(f"kept in {tmp_path / 'student.measurements.json'}\n")
    bad = subprocess.run([*command, "--target", "z80"], capture_output=True, text=True, timeout=300, check=False)
    assert (bad.returncode, bad.stderr.startswith("error: unknown target 'z80'")) == (2, True)
