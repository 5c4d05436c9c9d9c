"""`wunderkind teach` as a user calls it, on a slice of MNIST in 8×8 pixels: kill, go on, members, misuse."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn import functional

from kd.data.dataset import DataSet, DataSource, load
from kd.teachers.loading import open_teacher
from kd.teachers.network import accuracy
from kd.teachers.source import TeacherSource


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet) -> Path:
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, split in (("train", small_data.train), ("val", small_data.validation), ("test", small_data.test)):
        pixels = functional.adaptive_avg_pool2d(split.images.float(), 8).round().to(torch.uint8)
        arrays |= {f"x_{name}": pixels[:, 0].numpy(), f"y_{name}": split.labels.numpy()}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def begin(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "search", "teach", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
        start_new_session=True,
    )


def teach(*arguments: str, folder: Path, rc: int = 0) -> str:
    """What the command prints: its output, or the one line of its error."""
    process = begin(*arguments, folder=folder)
    output, error = process.communicate(timeout=200)
    assert process.returncode == rc, output + error
    return output if rc == 0 else error


def epochs(said: str) -> list[tuple[str, str]]:
    """Members and the epochs that they are said to have finished."""
    return re.findall(r"^(\S+)  epoch (\d+) ", said, re.MULTILINE)


ARGUMENTS = ("--epochs", "4", "--batch", "50", "--learning-rate", "0.01", "--device", "cpu")


@pytest.fixture(scope="module")
def members(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with an ensemble of two that nothing disturbed, and what was said."""
    folder = tmp_path_factory.mktemp("ensemble")
    return folder, teach(str(tiny), "--members", "2", "--seed", "3", *ARGUMENTS, folder=folder)


def test_members_have_seeds_of_their_own_and_are_measured_together(members: tuple[Path, str], tiny: Path) -> None:
    folder, said = members
    names = ["tiny-3.safetensors", "tiny-4.safetensors"]
    files = sorted(path.name for path in (folder / "teachers").iterdir() if path.suffix != ".lock")
    assert files == sorted([*names, "tiny-3.json", "tiny-4.json", "tiny-ensemble.json"])
    assert said.strip().splitlines()[-1] == f"use: --teacher teachers/{names[0]} --teacher teachers/{names[1]}"
    data, cpu = load(DataSource(name=str(tiny))), torch.device("cpu")
    source = TeacherSource(models=tuple(str(folder / "teachers" / name) for name in names))
    about = json.loads((folder / "teachers" / "tiny-ensemble.json").read_text())
    assert about["members"] == names
    assert about["test_accuracy"] == accuracy(open_teacher(source, data, cpu), data.test, cpu)
    assert about["test_accuracy"] > 0.5
    assert f"test accuracy {100 * about['test_accuracy']:.2f} %" in said
    seeds = [json.loads((folder / "teachers" / f"tiny-{seed}.json").read_text())["recipe"]["seed"] for seed in (3, 4)]
    assert seeds == [3, 4]


def test_a_killed_teaching_goes_on_bit_for_bit(members: tuple[Path, str], tiny: Path, tmp_path: Path) -> None:
    command = (str(tiny), "--members", "2", "--seed", "3", *ARGUMENTS)
    process = begin(*command, folder=tmp_path)
    assert process.stdout is not None
    before = []
    for line in process.stdout:
        before += epochs(line)
        if "epoch 2 " in line:
            break
    process.kill()
    process.communicate()
    checkpoints = list((tmp_path / "teachers").glob(".*.checkpoint.safetensors"))
    assert checkpoints
    said = teach(*command, folder=tmp_path)
    assert before
    assert not set(before) & set(epochs(said))
    for seed in (3, 4):
        name = f"tiny-{seed}.safetensors"
        undisturbed, resumed = load_file(members[0] / "teachers" / name), load_file(tmp_path / "teachers" / name)
        assert all(torch.equal(undisturbed[part], resumed[part]) for part in undisturbed)
    assert {path.suffix for path in (tmp_path / "teachers").glob(".*")} == {".lock"}


def test_a_second_teaching_of_the_same_file_is_refused(tiny: Path, tmp_path: Path) -> None:
    process = begin(str(tiny), "--members", "2", "--seed", "3", "--epochs", "1000", *ARGUMENTS[2:], folder=tmp_path)
    try:
        assert process.stdout is not None
        assert any(epochs(line) for line in process.stdout)
        out = ("--out", "teachers/tiny-4.safetensors", "--seed", "4", "--epochs", "1000", *ARGUMENTS[2:])
        error = teach(str(tiny), *out, folder=tmp_path, rc=2)
        assert error == (
            "error: another process is teaching teachers/tiny-4.safetensors: wait for it, or use another --out\n"
        )
    finally:
        process.kill()
        process.communicate()


def test_a_finished_teacher_is_neither_taught_again_nor_replaced(members: tuple[Path, str], tiny: Path) -> None:
    folder, said = members
    before = {path: path.read_bytes() for path in (folder / "teachers").iterdir()}
    again = teach(str(tiny), "--members", "2", "--seed", "3", *ARGUMENTS, folder=folder)
    assert "nothing is taught again" in again
    assert again.splitlines()[-4:] == said.splitlines()[-4:]
    error = teach(str(tiny), "--members", "2", "--seed", "3", "--epochs", "7", *ARGUMENTS[2:], folder=folder, rc=2)
    assert error.startswith("error: teachers/tiny-3.safetensors was taught otherwise (epochs is 4, not 7): ")
    assert len(error.splitlines()) == 1
    assert {path: path.read_bytes() for path in (folder / "teachers").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.npz",), "no data file at none.npz"),
        (("mnist", "--out", "teacher.pt"), "must end in .safetensors"),
        (("mnist", "--device", "tpu"), "device 'tpu' cannot be used"),
        (("mnist", "--out", "/dev/null/teacher.safetensors"), "cannot make its folder (File exists)"),
    ],
)
def test_misuse_is_one_line(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    error = teach(*arguments, folder=tmp_path, rc=2)
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert words in error
    assert list(tmp_path.iterdir()) == []
