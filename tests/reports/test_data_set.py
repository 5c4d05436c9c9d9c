import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from kd.data.dataset import DataSet, load
from reports.data_set import describe


def printed(data: DataSet, width: int = 100) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(describe(data))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def fact(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(name)).removeprefix(name).strip()


def test_says_what_a_data_set_holds(small_data: DataSet) -> None:
    lines = printed(small_data)
    assert lines[0] == "small"
    assert small_data.source.name in "".join(line.strip() for line in lines)
    assert fact(lines, "digest") == small_data.digest
    assert fact(lines, "shape") == "images 1×28×28, 10 classes"
    assert fact(lines, "splits") == "1,000 training, 200 validation, 300 test"
    assert float(fact(lines, "mean")) == pytest.approx(small_data.mean[0], abs=1e-4)
    assert float(fact(lines, "deviation")) == pytest.approx(small_data.std[0], abs=1e-4)


@pytest.mark.parametrize("width", [60, 100])
def test_imbalance_is_seen(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory, width: int) -> None:
    path = tmp_path_factory.mktemp("data") / "skew.npz"
    labels = small_data.train.labels.numpy()
    kept = np.concatenate(
        [np.flatnonzero(labels == 0)[:80], np.flatnonzero(labels == 1)[:40], np.flatnonzero(labels == 2)[:8]]
    )
    x, y = small_data.train.images[:, 0].numpy()[kept], labels[kept]
    np.savez(path, x_train=x, y_train=y, x_test=x[-60:], y_test=y[-60:], x_val=x[:50], y_val=y[:50])
    lines = printed(load(replace(small_data.source, name=str(path))), width)
    assert fact(lines, "imbalance").startswith("10.00")
    bars = [line.count("█") for line in lines if "█" in line]
    assert len(bars) == 3
    assert bars == [20, 10, 2]
    assert next(line for line in lines if "█" in line).split()[:4] == ["0", "80", "50", "12"]


def test_many_features_are_cut_short(sequences: DataSet) -> None:
    lines = printed(sequences)
    assert fact(lines, "shape") == "sequences of 28 steps, 28 features, 10 classes"
    assert "(28 in all)" in " ".join(lines)
