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


def test_what_is_there_but_no_network(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match="it is no file of a network"):
            module_of(str(path))
    with pytest.raises(InputError, match="it is an address"):
        TeacherSource(models=("https://host/net.onnx",)).resolved()
