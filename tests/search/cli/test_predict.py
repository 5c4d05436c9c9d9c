"""`wunderkind predict`: what a user sees who asks a student."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kd.data.dataset import DataSet
from kd.students.file import load_student, save_student
from space.architecture import Architecture
from space.blocks.mlp import Dense
from space.network import build


def predict(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search", "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=folder)


@pytest.fixture
def student(tmp_path: Path, small_data: DataSet) -> Path:
    architecture = Architecture(family="mlp", shape=small_data.shape, classes=10, blocks=(Dense(width=8),))
    torch.manual_seed(0)
    save_student(tmp_path / "student.safetensors", build(architecture).state_dict(), architecture, small_data)
    return tmp_path / "student.safetensors"


def test_every_sample_gets_a_line_with_its_class(student: Path, tmp_path: Path, small_data: DataSet) -> None:
    Image.fromarray(small_data.test.images[0, 0].numpy()).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", small_data.test.images[1:4].numpy())
    result = predict(student, "a.png", "b.npy", "--top", 1, folder=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    logits = load_student(student).logits(small_data.test.images[:4])
    shares, classes = logits.softmax(1).max(1)
    names = ["a.png   ", "b.npy[0]", "b.npy[1]", "b.npy[2]"]
    assert result.stdout.splitlines() == [
        f"{name}  {int(label)} {100 * float(share):.1f} %"
        for name, label, share in zip(names, classes, shares, strict=True)
    ]


def test_misuse_is_one_line(student: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ((student, "none.png"), "error: no picture or array at none.png: check the path"),
        (("mine", "none.png"), "error: no study 'mine' under runs: start one with wunderkind run"),
        ((student, "none.png", "--student", "0" * 12), "leave --student out"),
        ((student, "none.png", "--range", "1"), "error: data.range is '1' (--range): write LOW..HIGH"),
    ):
        result = predict(*arguments, folder=tmp_path)
        assert result.returncode == 2
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
