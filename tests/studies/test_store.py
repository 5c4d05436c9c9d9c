"""A study opens only with the data and the teacher that it began with."""

import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kd.data.dataset import DataSource, load
from kd.distil.views import make_view
from kd.teachers.fingerprint import fingerprint
from kd.teachers.source import TeacherSource
from space.errors import InputError
from studies.configuration.config import Config
from studies.storage.directory import RunDirectory
from studies.store import create, opened, stored_config

NETWORK = """
import torch
def make():
    torch.manual_seed({seed})
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
"""


@pytest.fixture
def directory(small_source: DataSource, teacher_path: Path, tmp_path: Path) -> RunDirectory:
    """A study with files of its own for data and teacher, opened once."""
    data, teacher = tmp_path / "data.npz", tmp_path / "teacher.safetensors"
    shutil.copy(small_source.name, data)
    shutil.copy(teacher_path, teacher)
    directory = RunDirectory(root=tmp_path / "runs", name="mine")
    source, models = replace(small_source, name=str(data)), (str(teacher),)
    create(directory, Config(data=source, teacher=TeacherSource(models=models)))
    with opened(directory):
        return directory


def refused(directory: RunDirectory, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        config = stored_config(directory)
        data = load(config.data)
        with opened(directory, data, fingerprint=fingerprint(config.teacher, data)):
            pass
    assert "\n" not in str(caught.value)


def test_a_study_with_another_teacher_is_refused_until_the_old_one_is_back(
    directory: RunDirectory, teacher_path: Path, tmp_path: Path
) -> None:
    shutil.copy(teacher_path.with_name("mnist-1-teacher.safetensors"), tmp_path / "teacher.safetensors")
    refused(
        directory,
        r"teacher .*teacher\.safetensors has changed since study 'mine' began .*: put the old one back, say where",
    )
    with opened(directory) as before:  # to read it, nobody needs the teacher
        pass
    shutil.copy(teacher_path, tmp_path / "teacher.safetensors")
    with opened(directory, before.data, fingerprint=fingerprint(before.config.teacher, before.data)) as store:
        assert store.views == before.views
        assert store.config.teacher.models == (str(tmp_path / "teacher.safetensors"),)


def test_a_study_whose_teacher_is_gone_opens_as_it_was(directory: RunDirectory, tmp_path: Path) -> None:
    with opened(directory) as before:
        (tmp_path / "teacher.safetensors").unlink()
    with opened(directory) as store:
        assert store.views == before.views
    with pytest.raises(InputError, match=r"no teacher at .*teacher\.safetensors"):
        make_view(store.views, 0, "cpu")
    fresh = RunDirectory(root=directory.root, name="other")
    create(fresh, before.config)
    refused(fresh, r"no teacher at .*teacher\.safetensors")


def test_a_study_whose_teacher_was_code_that_is_gone_opens_as_it_was(
    small_source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "network_gone_later.py"
    code.write_text(NETWORK.format(seed=0))
    monkeypatch.syspath_prepend(tmp_path)
    directory = RunDirectory(root=tmp_path / "runs", name="mine")
    config = Config(data=small_source, teacher=TeacherSource(models=("network_gone_later:make",)))
    create(directory, config)
    with opened(directory) as before:
        code.unlink()
    del sys.modules["network_gone_later"]  # as in another process
    importlib.invalidate_caches()
    with opened(directory) as store:
        assert store.views == before.views
        with pytest.raises(InputError, match="no teacher network_gone_later:make: there is no module network_gone"):
            make_view(store.views, 0, "cpu")
    code.write_text(NETWORK.format(seed=1))
    importlib.invalidate_caches()
    refused(directory, "teacher network_gone_later:make has changed since study 'mine' began")


def test_a_study_with_other_data_is_refused(directory: RunDirectory, tmp_path: Path) -> None:
    arrays = dict(np.load(tmp_path / "data.npz"))
    arrays["x_test"] = 255 - arrays["x_test"]
    np.savez(tmp_path / "data.npz", **arrays)
    refused(directory, r"data .*data\.npz has changed since study 'mine' began")
