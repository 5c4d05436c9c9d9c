"""What people name as a teacher: stored logits in the forms that they have, and names that are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kd.data.dataset import DataSet, load
from kd.teachers.check import measured_teachers
from kd.teachers.source import TeacherSource, module_of
from space.errors import InputError

N = 60
Y = np.arange(N) % 3
HOT = np.eye(3)[Y]

LOGITS: dict[str, tuple[Any, str]] = {
    "logits": (HOT * 5, "100.0 %"),
    "logits as float16": ((HOT * 5).astype(np.float16), "100.0 %"),
    "one-hot labels": (HOT, "gives probabilities: their logarithm is used"),
    "percentages": (HOT * 97 + 1, "gives percentages: their logarithm is used"),
    "logarithms": (np.log(HOT * 0.97 + 0.01), "100.0 %"),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "too few rows": (HOT[:-3], r"of shape \(57, 3\): .* needs floating logits of shape \(60, 3\)"),
    "too many rows": (np.r_[HOT, HOT], r"of shape \(120, 3\)"),
    "other classes": (np.zeros((N, 7)), r"of shape \(60, 7\)"),
    "labels": (Y, r"int64 of shape \(60,\)"),
    "whole numbers": ((HOT * 9).astype(int), "needs floating logits"),
    "three axes": (HOT[:, None], r"of shape \(60, 1, 3\)"),
    "columns as rows": (HOT.T, r"of shape \(3, 60\)"),
    "texts": (np.array(["a"] * N), "needs floating logits"),
    "gaps": (np.where(HOT > 0, np.nan, 0.0), "not finite"),
    "nothing learnt": (HOT * 0, "where chance gives 33.3 %"),
    "classes in another order": (HOT[:, [1, 2, 0]] * 5, r"it would be right for 100.0 % with --set 'teacher.classes="),
}
NAMES = {
    "": "name a file, torchvision:NAME or package.module:callable",
    ":Net": "name a file",
    "hf://group/net": "it is an address: download",
    "nets.py:Net": "name the module, not its file: nets:Net",
    "./code/nets.py": "name the module, not its file: code.nets:callable",
    "resnet18": "torchvision's is torchvision:resnet18, with --weights",
    "mnsit": "there is no module mnsit to import",
    "nowhere:Net": "there is no module nowhere to import",
}


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    pixels = np.random.default_rng(0).integers(0, 256, (N, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x_train=pixels, y_train=Y, x_test=pixels[:9], y_test=Y[:9])
    return load(str(tmp_path / "data.npz"))


@pytest.mark.parametrize("name", LOGITS)
def test_stored_logits(name: str, data: DataSet, tmp_path: Path) -> None:
    array, told = LOGITS[name]
    np.save(tmp_path / "logits.npy", array)
    found = measured_teachers(TeacherSource(models=(str(tmp_path / "logits.npy"),)), data, "cpu")
    assert told in found.lines[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_logits_of_these_data(name: str, data: DataSet, tmp_path: Path) -> None:
    array, refused = REFUSED[name]
    np.save(tmp_path / "logits.npy", array)
    with pytest.raises(InputError, match=refused) as error:
        measured_teachers(TeacherSource(models=(str(tmp_path / "logits.npy"),)), data, "cpu")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match=NAMES[name]):
        module_of(name)


ODD = {
    "Numpy": ("return np.zeros((len(x), 3))", "it gives a ndarray without a tensor: it must return its logits"),
    "List": ("return [0.0, 1.0, 2.0]", "it gives a list without a tensor"),
    "Nothing": ("return None", "it gives a NoneType without a tensor"),
    "Nan": ("return torch.full((len(x), 3), float('nan'))", "gives logits that are not finite"),
    "Raises": ("raise KeyError('layer')", r"cannot take pixels of shape .* \(KeyError: 'layer'\)"),
    "Exits": ("sys.exit(3)", "it ends the program"),
    "Recursion": ("return self.forward(x)", "maximum recursion depth"),
    "Classes": ("return torch.zeros(len(x), dtype=torch.int64)", "it must give logits"),
    "Five": ("return torch.zeros(len(x), 5)", "or name its columns with teacher.classes"),
}


@pytest.mark.parametrize("name", ODD)
def test_networks_that_answer_oddly(name: str, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body, refused = ODD[name]
    code = f"import sys, torch, numpy as np\nclass {name}(torch.nn.Module):\n    def forward(self, x): {body}\n"
    (tmp_path / f"odd_{name.lower()}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=refused) as error:
        measured_teachers(TeacherSource(models=(f"odd_{name.lower()}:{name}",)), data, "cpu")
    assert "\n" not in str(error.value)


def test_names_and_files_that_are_nearly_teachers(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_bytes(b"<html>")
    cases = {
        "torchvision:resnet19": "torchvision has no model 'resnet19': did you mean resnet1",
        "torchvision:resnet18": "has learnt nothing: give its weights",
        str(tmp_path / "page.pth"): "is a web page: download the file itself",
    }
    for model, refused in cases.items():
        with pytest.raises(InputError, match=refused):
            measured_teachers(TeacherSource(models=(model,)), data, "cpu")
    with pytest.raises(InputError, match=r"no file of weights at nowhere\.pt: check the path"):
        measured_teachers(TeacherSource(models=("torchvision:resnet18",), weights=("nowhere.pt",)), data, "cpu")


def test_what_is_there_but_no_network(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match="it is no file of a network"):
            module_of(str(path))
    with pytest.raises(InputError, match="it is an address"):
        TeacherSource(models=("https://host/net.onnx",)).resolved()
