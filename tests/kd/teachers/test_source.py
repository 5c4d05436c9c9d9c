"""Teachers of every kind, on MNIST's own images."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from kd.data.dataset import DataSet, DataSource, load
from kd.students.file import load_student, save_student
from kd.teachers import network as teachers
from kd.teachers.loading import open_teacher
from kd.teachers.source import TeacherSource
from space.architecture import Architecture
from space.blocks.convolution import Convolution, GlobalAverage
from space.errors import InputError
from space.network import build

CPU = torch.device("cpu")
CODE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, classes))
    def forward(self, pixels):
        return self.layers(pixels)

def eleven():
    return Small(11)

class Viewing(Small):
    def __init__(self):
        super().__init__()
        self.layers = nn.Linear(2352, 10)
    def forward(self, pixels):
        return self.layers(pixels.view(len(pixels), -1))

def broken():
    model = Small()
    model.layers[1].bias.data.fill_(float("nan"))
    return model

def large():
    model = Small()
    model.layers[1].bias.data.fill_(1e6)
    return model

def number():
    return 7

class Staged(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.maps, self.activation = nn.Conv2d(1, 3, 3, stride=7), nn.ReLU(inplace=True)
        self.tokens, self.idle, self.pair = nn.Flatten(2), nn.ReLU(), nn.MaxPool2d(2, return_indices=True)
        self.head = nn.Linear(48, 10)
    def forward(self, pixels):
        maps = self.activation(self.maps(pixels))
        self.pair(maps)
        return self.head(self.tokens(maps).flatten(1))
"""


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load(DataSource())


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_teachers.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(data: DataSet) -> torch.Tensor:
    return data.test.images[:32].float() / 255


def normalised(data: DataSet) -> torch.Tensor:
    mean, std = data.moments()
    return (pixels(data) - mean) / std


def ask(source: TeacherSource, data: DataSet) -> torch.Tensor:
    with torch.no_grad():
        return open_teacher(source, data, CPU)(pixels(data), torch.arange(32))


def export(module: nn.Module, path: Path, dynamic: bool = True, external_data: bool = False) -> None:
    torch.onnx.export(
        module,
        (torch.zeros(8, 1, 28, 28),),
        path,
        input_names=["pixels"],
        dynamic_shapes=({0: torch.export.Dim("n")},) if dynamic else None,
        dynamo=True,
        external_data=external_data,
        verbose=False,
    )


def linear(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()


def test_the_shipped_teacher_answers_as_its_file_says(data: DataSet) -> None:
    expected = teachers.load(teachers.shipped("mnist"), CPU)(pixels(data))
    torch.testing.assert_close(ask(TeacherSource(), data), expected, rtol=1e-3, atol=1e-3)


def test_a_teacher_from_onnx_answers_as_it_did_in_pytorch(data: DataSet, tmp_path: Path) -> None:
    path = tmp_path / "teacher.onnx"
    export(teachers.load(teachers.shipped("mnist"), CPU), path)
    torch.testing.assert_close(
        ask(TeacherSource(models=(str(path),)), data), ask(TeacherSource(), data), rtol=1e-3, atol=1e-3
    )


def test_weights_beside_an_onnx_file_count_as_part_of_it(
    data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, elsewhere = tmp_path / "teacher.onnx", tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    source, answers = TeacherSource(models=(str(path),)), []
    for seed in (0, 1):
        module = linear(seed)
        export(module, path, external_data=True)
        answers.append(source.files_fingerprint())
        torch.testing.assert_close(ask(source, data), module(pixels(data)), rtol=1e-4, atol=1e-4)
    assert answers[0] != answers[1]
    (tmp_path / "teacher.onnx.data").unlink()
    with pytest.raises(InputError, match=r"no teacher at .*teacher\.onnx\.data"):
        source.files_fingerprint()


def test_an_onnx_file_for_one_size_of_batch_is_run_in_batches_of_it(data: DataSet, tmp_path: Path) -> None:
    module = linear(0)
    export(module, tmp_path / "teacher.onnx", dynamic=False)  # for eight
    teacher = open_teacher(TeacherSource(models=(str(tmp_path / "teacher.onnx"),)), data, CPU)
    for count in (1, 7, 8, 9, 32):
        images = pixels(data)[:count]
        torch.testing.assert_close(teacher(images, torch.arange(count)), module(images), rtol=1e-4, atol=1e-4)


def test_code_gets_colours_that_it_may_view(colours: DataSet, code: Path) -> None:
    images = colours.test.images[:4].float() / 255
    answer = open_teacher(TeacherSource(models=("my_teachers:Viewing",)), colours, CPU)
    assert answer(images, torch.arange(4)).shape == (4, colours.classes)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_the_users_code_and_weights(data: DataSet, code: Path, suffix: str) -> None:
    state = {"layers.1.weight": torch.randn(10, 784), "layers.1.bias": torch.randn(10)}
    weights = code / f"weights{suffix}"
    save_file(state, weights) if suffix == ".safetensors" else torch.save(state, weights)
    source = TeacherSource(models=("my_teachers:Small",), weights=(str(weights),), scale="standardised")
    flat = normalised(data).flatten(1)
    expected = flat @ state["layers.1.weight"].T + state["layers.1.bias"]
    torch.testing.assert_close(ask(source, data), expected, rtol=1e-4, atol=1e-3)


def of_torchvision(name: str, folder: Path, stage: str = "") -> TeacherSource:
    """An untrained model of torchvision with its weights."""
    torch.save(torchvision.models.get_model(name, num_classes=10).state_dict(), folder / "weights.pt")
    return TeacherSource(models=(f"torchvision:{name}",), weights=(str(folder / "weights.pt"),), stage=stage)


def test_torchvision_models_go_by_name_and_weights(data: DataSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="torchvision:squeezenet1_1 cannot take pixels of shape"):
        ask(of_torchvision("squeezenet1_1", tmp_path), data)  # it takes three channels, MNIST has one
    with pytest.raises(InputError, match="torchvision:resnet18 has learnt nothing: give its weights"):
        TeacherSource(models=("torchvision:resnet18",)).files_fingerprint()


def test_an_ensemble_averages_probabilities(data: DataSet, code: Path) -> None:
    torch.save(importlib.import_module("my_teachers").Small().state_dict(), code / "small.pt")
    source = TeacherSource(models=("mnist", "my_teachers:Small"), weights=("", "small.pt"))
    both = ask(source, data)
    torch.testing.assert_close(ask(replace(source, weights=()), data), both)
    assert source.files_fingerprint() != replace(source, weights=()).files_fingerprint()
    parts = [ask(TeacherSource(models=(name,)), data).softmax(1) for name in ("mnist", "my_teachers:Small")]
    torch.testing.assert_close(both.softmax(1), (parts[0] + parts[1]) / 2)


def stage(source: TeacherSource, data: DataSet, images: torch.Tensor) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    open_teacher(source, data, CPU, kept.append)(images)
    *tried, maps = kept
    assert {part.shape[1:] for part in tried} == {maps.shape[1:]}
    return maps


def test_stages_of_the_users_code(data: DataSet, code: Path) -> None:
    module = importlib.import_module("my_teachers").Staged()
    source = TeacherSource(models=("my_teachers:Staged",), stage="maps", scale="standardised")
    with torch.no_grad():
        maps = module.maps(normalised(data))
        assert float(maps.min()) < 0  # which what follows in place would not leave
        torch.testing.assert_close(stage(source, data, pixels(data)), maps)
        halved = functional.avg_pool2d(maps, 2)
        torch.testing.assert_close(stage(replace(source, cells=2), data, pixels(data)), halved)
        logits = module.head(maps.relu().flatten(1))
    torch.testing.assert_close(stage(replace(source, stage="head"), data, pixels(data)), logits[:, :, None, None])


def test_stages_of_torchvision_models(colours: DataSet, tmp_path: Path) -> None:
    images = colours.test.images[:4].float() / 255
    maps = stage(of_torchvision("resnet18", tmp_path, stage="layer2.1"), colours, images)
    assert maps.shape == (4, 128, 4, 4)


def test_stages_of_a_student(data: DataSet, tmp_path: Path) -> None:
    blocks = (Convolution(width=4, stride=2), Convolution(width=6, stride=5), GlobalAverage())
    architecture = Architecture(family="cnn", shape=data.shape, classes=10, blocks=blocks)
    path = tmp_path / "seed-0.safetensors"
    save_student(path, build(architecture).state_dict(), architecture, data)
    maps = stage(TeacherSource(models=(str(path),), stage="module.blocks.1"), data, pixels(data))
    with torch.no_grad():
        torch.testing.assert_close(maps, load_student(path).module.blocks[:2](normalised(data))[:, :, :3, :3])


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("mnist", "features.18", r"teacher\.stage = 'features\.18': .* has no such submodule, but .*features\.17"),
        ("my_teachers:Staged", "layer", "has no such submodule, but .*maps"),
        ("my_teachers:Staged", "idle", r"teacher\.stage = 'idle' is not run: name another"),
        ("my_teachers:Staged", "tokens", r"teacher\.stage gives shape \(32, 3, 16\): name one"),
        ("my_teachers:Staged", "pair", r"teacher\.stage gives tuple: name one"),
        ("teacher.onnx", "features.2", "has no stages to name: use one teacher that is a PyTorch module"),
    ],
)
def test_what_is_no_stage_is_said_in_one_line(data: DataSet, code: Path, model: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        ask(TeacherSource(models=(model,), stage=name), data)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="has no stages to name"):
        TeacherSource(models=(model, model), stage=name).files_fingerprint()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("my_teachers:eleven", r"gives logits of shape \(32, 11\).*must give \(32, 10\)"),
        ("my_teachers:broken", "not finite"),
        ("my_teachers:large", r"gives logits up to 1e\+06, which float16 cannot hold: scale them down"),
        ("my_teachers:number", "gives a int"),
        ("my_teachers:absent", "absent"),
        ("no_such_module:thing", "no_such_module"),
        ("torchvision:no_such_model", "no_such_model"),
        ("missing.safetensors", "no teacher at missing.safetensors"),
        ("junk.txt", r"name a \.safetensors.* file, torchvision:NAME or package\.module:callable"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(data: DataSet, code: Path, model: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        ask(TeacherSource(models=(model,)), data)
    assert "\n" not in str(error.value)


def test_code_is_known_by_its_name_and_its_file(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "my_teachers", raising=False)
    small, eleven = (TeacherSource(models=(f"my_teachers:{name}",)) for name in ("Small", "eleven"))
    before = small.files_fingerprint()
    assert before == small.files_fingerprint() != eleven.files_fingerprint()
    (code / "my_teachers.py").write_text(CODE.replace("manual_seed(0)", "manual_seed(1)"))
    assert small.files_fingerprint() != before


def test_files_that_are_no_teachers(data: DataSet, code: Path) -> None:
    (code / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(InputError, match="cannot read a teacher"):
        ask(TeacherSource(models=("broken.onnx",)), data)
    torch.save({"layers.1.weight": torch.zeros(5, 784), "layers.1.bias": torch.zeros(5)}, code / "five.pt")
    with pytest.raises(InputError, match=r"do not fit teacher my_teachers:Small .*for layers\.1\.weight") as e:
        ask(TeacherSource(models=("my_teachers:Small",), weights=("five.pt",)), data)
    assert "\n" not in str(e.value)
    torch.save({"code": print}, code / "evil.pt")
    with pytest.raises(InputError, match="cannot read weights"):
        ask(TeacherSource(models=("my_teachers:Small",), weights=("evil.pt",)), data)
    with pytest.raises(InputError, match="1 teachers, 2 files"):
        ask(TeacherSource(models=("my_teachers:Small",), weights=("evil.pt", "evil.pt")), data)
    with pytest.raises(InputError, match="brings its own weights"):
        ask(TeacherSource(models=("mnist",), weights=("evil.pt",)), data)


def test_the_fingerprint_is_of_the_content(code: Path) -> None:
    assert (
        TeacherSource().files_fingerprint()
        == TeacherSource(models=(str(teachers.shipped("mnist")),)).files_fingerprint()
    )
    save_file({"layers.1.weight": torch.zeros(10, 784)}, code / "a.safetensors")
    source = TeacherSource(models=("my_teachers:Small",), weights=("a.safetensors",))
    before = source.files_fingerprint()
    save_file({"layers.1.weight": torch.ones(10, 784)}, code / "a.safetensors")
    assert source.files_fingerprint() != before


def test_a_student_may_teach(data: DataSet, tmp_path: Path) -> None:
    architecture = Architecture(
        family="cnn", shape=data.shape, classes=10, blocks=(Convolution(width=4, stride=2), GlobalAverage())
    )
    path = tmp_path / "seed-0.safetensors"
    save_student(path, build(architecture).state_dict(), architecture, data)
    student = load_student(path)
    expected = student.module(normalised(data))
    torch.testing.assert_close(ask(TeacherSource(models=(str(path),)), data), expected)
    (tmp_path / "damaged.safetensors").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="cannot read a teacher"):
        ask(TeacherSource(models=(str(tmp_path / "damaged.safetensors"),)), data)


def given_logits(data: DataSet) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A row for each of the 60,000 samples of MNIST's training file, each row like no other."""
    return np.arange(600_000).reshape(60_000, 10).astype(np.float32) / np.float32(10_000)


@pytest.mark.parametrize("name", ["logits.npy", "logits.npz"])
def test_a_file_of_logits_answers_for_places(data: DataSet, tmp_path: Path, name: str) -> None:
    logits, path = given_logits(data), tmp_path / name
    np.save(path, logits) if path.suffix == ".npy" else np.savez(path, logits=logits)
    answer = open_teacher(TeacherSource(models=(str(path),)), data, CPU)
    places = torch.tensor([7, 0, 54_999])
    assert torch.equal(answer(data.train.images[places], places), torch.from_numpy(logits[data.rows[places]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:-1], r"holds float32 of shape \(59999, 10\): mnist needs floating logits of shape \(60000, 10\)"),
        (lambda x: x[5_000:], r"held-out ones included"),
        (lambda x: x[:, 1:], r"holds float32 of shape \(60000, 9\)"),
        (lambda x: x.astype(np.int64), "holds int64 of shape"),
        (lambda x: np.where(x == x[123, 4], np.nan, x), "not finite as float16, first in row 123"),
        (lambda x: np.where(x == x[9, 4], 1e6, x), "not finite as float16, first in row 9"),
        (lambda x: x.astype(object), "cannot read logits"),
    ],
)
def test_logits_that_do_not_fit_are_refused(
    data: DataSet, tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    np.save(tmp_path / "logits.npy", change(given_logits(data)))
    with pytest.raises(InputError, match=message) as error:
        ask(TeacherSource(models=(str(tmp_path / "logits.npy"),)), data)
    assert "\n" not in str(error.value)


def test_files_of_logits_that_cannot_be_read(data: DataSet, tmp_path: Path) -> None:
    path = tmp_path / "logits.npz"
    np.savez(path, answers=np.zeros(3))
    for content in (path.read_bytes(), path.read_bytes()[:-30], b"", b"logits"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"cannot read logits from .* numpy.savez with the name logits"):
            ask(TeacherSource(models=(str(path),)), data)
    np.save(tmp_path / "logits.npy", given_logits(data))
    with pytest.raises(InputError, match="a file of logits is the one teacher"):
        ask(TeacherSource(models=("mnist", str(tmp_path / "logits.npy"))), data)
    with pytest.raises(InputError, match="no teacher at"):
        ask(TeacherSource(models=(str(tmp_path / "none.npy"),)), data)
