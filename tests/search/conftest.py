from pathlib import Path

import pytest

from kd.data.dataset import DataSource

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


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory, small_source: DataSource) -> Path:
    """A whole study of the small data, six students."""
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(STUDY.format(data=small_source.name))
    return path
