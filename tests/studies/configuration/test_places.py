import json
from pathlib import Path

import pytest

from studies.configuration.file import read
from studies.storage.directory import RunDirectory, name_of

NAMES = ["a b", "50%20", "a#b?c", "[x]", "Ärger", "x" * 200, "2024"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_in_a_file_are_relative_to_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for file in (f"{name}.npz", "teacher.onnx", "weights.pt"):
        (folder / file).touch()
    path = folder / "study.toml"
    text = f'[data]\nname = {json.dumps(f"{name}.npz", ensure_ascii=False)}\n[teacher]\nmodels = ["teacher.onnx"]\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())  # as Notepad writes it
    monkeypatch.chdir("/")
    config = read(str(path))
    assert config.data.name == str(folder / f"{name}.npz")
    assert config.teacher.models == (str(folder / "teacher.onnx"),)
    monkeypatch.chdir(folder)
    typed = read("mnist", [f"data.name={name}.npz", 'teacher.models=["teacher.onnx"]'])
    assert (typed.data.name, typed.teacher.models) == (config.data.name, config.teacher.models)


def test_the_home_folder_is_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = read("mnist", ["data.name=~/data.npz", "teacher=~/t.onnx"])
    assert (config.data.name, config.teacher.models) == (f"{tmp_path}/data.npz", (f"{tmp_path}/t.onnx",))


def test_names_made_of_digits_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "2024").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read("mnist", ["data.name=2024", "teacher=mnist"]).data.name == str(tmp_path / "2024")


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("mnist", "mnist"),
        ("a/my study.toml", "my-study"),
        ("2024.toml", "2024"),
        ("[x].toml", "x"),
        ("日.toml", "study"),
    ],
)
def test_a_study_is_named_after_its_file(preset: str, name: str, tmp_path: Path) -> None:
    assert name_of(preset) == name
    assert RunDirectory(root=tmp_path, name=name).name == name
