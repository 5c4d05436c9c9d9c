from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kd.data.augmentation import Augmentation
from kd.data.dataset import ASSETS, DataSet, DataSource, load
from kd.distil.views import UNAUGMENTED, ViewSource, make_view, view_source
from kd.teachers import network as teachers
from kd.teachers.source import TeacherSource

hypothesis.settings.register_profile("wunderkind", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("wunderkind")

STUDY = """
teacher = "mnist"

[data]
name = "{data}"
validation = 200

[space]
largest = 4000

[search]
trials = 6
rungs = [0.5, 1, 2]
startup = 3
peers = 1

[search.recipe]
loss = ["kl", "mse"]
temperature = [1, 8]

[recipe]
batch = 64
views = 1

[retrain]
points = 2
seeds = 2

[retrain.recipe]
schedule = "cosine"
epochs = 6
batch = 64
views = 1
"""

TRAIN, TEST, VALIDATION, VIEWS = 1_200, 300, 200, 2


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    """The first 1,200 training and 300 test images of MNIST, 200 held out."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    with np.load(ASSETS / "mnist.npz") as mnist:
        np.savez(
            path,
            x_train=mnist["x_train"][:TRAIN],
            y_train=mnist["y_train"][:TRAIN],
            x_test=mnist["x_test"][:TEST],
            y_test=mnist["y_test"][:TEST],
        )
    return DataSource(name=str(path), validation=VALIDATION)


@pytest.fixture(scope="session")
def small_data(small_source: DataSource) -> DataSet:
    return load(small_source)


@pytest.fixture(scope="session")
def teacher_path() -> Path:
    return teachers.shipped("mnist")


@pytest.fixture(scope="session")
def small_views(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet, teacher_path: Path) -> ViewSource:
    """Two augmented views and the clean one of the small data, made once."""
    source = view_source(
        tmp_path_factory.mktemp("views"), small_data, TeacherSource(models=(str(teacher_path),)), Augmentation()
    )
    for index in (UNAUGMENTED, *range(VIEWS)):
        make_view(source, index, "cpu")
    return source


@pytest.fixture(scope="session")
def sequences(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet) -> DataSet:
    """The small data as sequences: 28 steps down an image, 28 features, on scales of their own."""
    path = tmp_path_factory.mktemp("data") / "sequences.npz"
    scale, offset = np.geomspace(0.01, 100, 28), np.linspace(-5, 5, 28)
    arrays = {}
    for part in ("train", "validation", "test"):
        split = getattr(small_data, part)
        name = "val" if part == "validation" else part
        arrays[f"x_{name}"] = split.images[:, 0].numpy() / 255 * scale + offset
        arrays[f"y_{name}"] = split.labels.numpy()
    np.savez(path, **arrays)
    return load(DataSource(name=str(path)))


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory, small_data: DataSet) -> DataSet:
    """The small data in three channels of different brightness, channels last."""
    path = tmp_path_factory.mktemp("data") / "colours.npz"
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, split in (("train", small_data.train), ("val", small_data.validation), ("test", small_data.test)):
        grey = split.images[:, 0].numpy()
        arrays |= {f"x_{name}": np.stack([grey, grey // 4, 255 - grey // 2], axis=3), f"y_{name}": split.labels.numpy()}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return load(DataSource(name=str(path)))


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory, small_source: DataSource) -> Path:
    """A whole study of the small data, six students."""
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(STUDY.format(data=small_source.name))
    return path
