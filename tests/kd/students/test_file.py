import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from kd.data.dataset import DataSet
from kd.students.file import load_student, save_student
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage, ResidualConvolution
from space.blocks.liquid import LiquidConvolution
from space.errors import InputError
from space.network import build

STUDENT = Architecture(
    family="hybrid",
    shape=(1, 28, 28),
    classes=10,
    blocks=(
        Convolution(width=4, stride=2, activation="prelu"),
        ResidualConvolution(repeats=2),
        LiquidConvolution(),
        GlobalAverage(),
    ),
)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    module = build(STUDENT)
    module(torch.randn(8, 1, 28, 28))
    return module.state_dict()


def test_a_file_gives_the_student_back(tmp_path: Path, weights: dict[str, torch.Tensor], small_data: DataSet) -> None:
    path = tmp_path / "seed-0.safetensors"
    save_student(path, weights, STUDENT, small_data)
    student = load_student(path)
    assert student.architecture == STUDENT
    assert (student.mean, student.std, student.data) == (small_data.mean, small_data.std, small_data.digest)
    assert student.parameters == STUDENT.cost().parameters
    module = build(STUDENT).eval()
    module.load_state_dict(weights)
    images = torch.randn(4, 1, 28, 28)
    torch.testing.assert_close(student.module(images), module(images))
    assert not student.module.training
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_loading_leaves_the_random_state_alone(
    tmp_path: Path, weights: dict[str, torch.Tensor], small_data: DataSet
) -> None:
    save_student(tmp_path / "student", weights, STUDENT, small_data)
    before = torch.random.get_rng_state()
    load_student(tmp_path / "student")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_file_is_replaced_and_its_bytes_are_decided_by_its_content(
    tmp_path: Path, weights: dict[str, torch.Tensor], small_data: DataSet
) -> None:
    path = tmp_path / "student"
    path.write_bytes(b"an older file")
    save_student(path, weights, STUDENT, small_data)
    first = path.read_bytes()
    save_student(path, weights, STUDENT, small_data)
    assert path.read_bytes() == first


def test_files_that_hold_no_student_are_refused_in_one_line(
    tmp_path: Path, weights: dict[str, torch.Tensor], small_data: DataSet
) -> None:
    path = tmp_path / "student"
    with pytest.raises(InputError, match="no student at"):
        load_student(path)

    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match) as caught:
            load_student(path)
        assert "\n" not in str(caught.value)

    save_student(path, weights, STUDENT, small_data)
    content = path.read_bytes()
    with safe_open(path, framework="pt") as archive:
        about = json.loads(archive.metadata()["student"])
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    for damaged in (b"", b"hello", content[:-10], content + b"0"):
        path.write_bytes(damaged)
        refused("cannot read a student")

    def store(tensors: dict[str, torch.Tensor], about: object) -> None:
        save_file(tensors, path, {"student": json.dumps(about)})

    save_file(tensors, path)
    refused("it lacks student")
    store(tensors, [])
    refused("cannot read a student")
    store(tensors, {key: value for key, value in about.items() if key != "std"})
    refused("it lacks std")
    for key, value, match in (
        ("architecture", {}, "not an architecture"),
        ("architecture", asdict(replace(STUDENT, classes=11)), "size mismatch"),
        ("mean", "much", "could not convert"),
        ("mean", [0.1, 0.2], r"mean is \(0\.1, 0\.2\)"),
        ("std", 0, "not iterable"),
        ("std", [0], r"std is \(0\.0,\)"),
        ("std", [math.nan], r"std is \(nan,\)"),
        ("format", 2, "is of format 2, not 1"),
    ):
        store(tensors, about | {key: value})
        refused(match)
    store({name: t for name, t in tensors.items() if "reversal" not in name}, about)
    refused("reversal")
    store(tensors | {"classifier.bias": torch.full((10,), torch.nan)}, about)
    refused("classifier.bias holds values that are not finite")
